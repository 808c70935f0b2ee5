// What the page recognizes with: the server. The page of `browser/` has a file of the same name in its place, with the same
// methods, which recognizes on the device.

export { Client as Engine } from "./client.js";
