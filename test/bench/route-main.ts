/** What `bench route` starts, as a bundle: `node linnet.route.js PREFIXES` prints the Speeds as JSON. */
import { measureRoutes } from "./route-lookups.ts";

console.log(JSON.stringify(measureRoutes(Number(process.argv[2]))));
