import { openapi } from "@elysiajs/openapi";
import { Elysia } from "elysia";
import script from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };
import style from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
import { VERSION } from "../../version.ts";

/** The page loads nothing from elsewhere: it works with the network off. */
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slipstream API</title>
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({ url: "/api/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });</script>
</body>
</html>
`;

const hidden = { detail: { hide: true } };

/** `/api/openapi.json`, made from the routes, and `/api/docs`, a page that shows it. */
export const docsRoutes = () =>
  new Elysia({ name: "docs-routes" })
    .use(
      openapi({
        path: "/api/docs/none",
        specPath: "/api/openapi.json",
        provider: null,
        documentation: {
          info: {
            title: "Slipstream",
            version: VERSION.version,
            description: "Text into searchable meaning, pushed live, from one file.",
          },
        },
      }),
    )
    .get("/api/docs", () => file(new Blob([PAGE]), "text/html; charset=utf-8"), hidden)
    .get(
      "/api/docs/swagger-ui-bundle.js",
      () => file(Bun.file(script), "text/javascript; charset=utf-8"),
      hidden,
    )
    .get(
      "/api/docs/swagger-ui.css",
      () => file(Bun.file(style), "text/css; charset=utf-8"),
      hidden,
    );

function file(body: Blob, type: string): Response {
  return new Response(body, {
    headers: {
      "content-type": type,
      "x-content-type-options": "nosniff",
      "content-security-policy":
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
    },
  });
}
