import type { Interaction } from "@/api/types";

/** The customer's number: who called us, or whom we called. */
export function otherNumber(
  call: Pick<Interaction, "direction" | "from_number" | "to_number">,
): string | null {
  return call.direction === "outbound" ? call.to_number : call.from_number;
}
