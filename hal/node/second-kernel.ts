/**
 * A second kernel in one process: loads a module, and all of this project's that it imports, once more. A virtual board
 * keeps its own small pools beside the host side's large ones; they meet on a wire, which knows neither.
 *
 * Node has one instance of a module per URL, so a resolve hook marks the URL of the first with a query and hands the mark
 * on to what it imports.
 */
import { register } from "node:module";

const HOOKS = `
const MARK = /[?&](kernel=[\\w-]+)/;
export async function resolve(specifier, context, next) {
  const mark = MARK.exec(specifier) ?? MARK.exec(context.parentURL ?? "");
  const resolved = await next(specifier, context);
  const { url } = resolved;
  if (mark === null || !url.startsWith("file:") || url.includes("/node_modules/") || MARK.test(url)) return resolved;
  return { ...resolved, url: url + (url.includes("?") ? "&" : "?") + mark[1] };
}`;

let registered = false;

/**
 * Imports the module as part of the kernel of that name.
 * @param url the module's, absolute @param kernel letters, digits, hyphens
 */
export async function importInKernel(url: URL, kernel: string): Promise<unknown> {
  if (!registered) register(`data:text/javascript,${encodeURIComponent(HOOKS)}`);
  registered = true;
  const marked = new URL(url);
  marked.searchParams.set("kernel", kernel);
  return import(marked.href);
}
