import { Elysia } from "elysia";
import { Type } from "@sinclair/typebox";
import { VersionSchema } from "../../contract/health.ts";
import { isProblemCode, PROBLEMS, Problem } from "../../problems.ts";
import { VERSION } from "../../version.ts";

const detail = { tags: ["Operations"] };

/** Version, and what the problem codes mean. */
export const operationsRoutes = () =>
  new Elysia({ name: "operations-routes" })
    .get("/version", () => VERSION, { response: { 200: VersionSchema }, detail })
    .get(
      "/problems/:code",
      ({ params: { code } }) => {
        if (!isProblemCode(code))
          throw new Problem("problem_not_found", "No problem has this code.");
        const { status, title, retry } = PROBLEMS[code];
        return { code, status, title, retry };
      },
      {
        params: Type.Object({ code: Type.String() }),
        response: {
          200: Type.Object({
            code: Type.String(),
            status: Type.Integer(),
            title: Type.String(),
            retry: Type.Boolean({ description: "Whether the same request may succeed later" }),
          }),
        },
        detail,
      },
    );
