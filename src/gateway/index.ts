// The door of the gateway.

export { Gateway, type GatewayOptions, type GatewayRefusal } from "./gateway.ts";
export { parseRule, type Rule, RuleError } from "./rule.ts";
