// The package ships TypeScript sources that do not pass our compiler settings; migrator.d.ts gives what we use of it.
export { getDatabaseVersion, migrate } from "bun-sqlite-migrations";
