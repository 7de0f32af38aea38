/** The type of `import text from "./page.css" with { type: "text" }`: what the file says. */
declare module "*.css" {
  const text: string;
  export = text;
}

/** Scripts of the page, which run in the browser and are never imported as code. */
declare module "*.js" {
  const text: string;
  export = text;
}
