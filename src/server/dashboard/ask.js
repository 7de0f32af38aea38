/**
 * Questions to the process that served the page, and to no other. The token, where one is wanted, is
 * kept in this page's memory alone: neither a cookie nor the browser's storage has it.
 */

let token = "";

/** Sets what is shown as `Authorization: Bearer ...` from now on. */
export function setToken(text) {
  token = text;
}

/** What the process answered; `body` is JSON where it is, else text. */
export async function ask(path, options = {}) {
  const headers = token === "" ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(path, { ...options, headers: { ...options.headers, ...headers } });
  const isJson = (response.headers.get("content-type") ?? "").includes("application/json");
  return {
    isOk: response.ok,
    isRefused: response.status === 403,
    body: isJson ? await response.json() : await response.text(),
  };
}
