"use strict";

SwaggerUIBundle({
  url: document.body.dataset.document,
  dom_id: "#operations",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  // Its validator and its settings from the address would reach other hosts.
  validatorUrl: null,
  queryConfigEnabled: false,
  syntaxHighlight: { theme: "idea" },
});
