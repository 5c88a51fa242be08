// What the chat does on each event. The functions remember nothing: whatever must last is attached to the connection.

import { Refusal } from "./trigger.js";

const LONGEST_LINE = 500;

const NAME = /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,31}$/u;
const OUR_NAME = "System";

/**
 * @param {(line: string) => Promise<void>} tellAll sends a line to everybody who is connected
 * @returns the functions for `webPubSubTrigger`
 */
export function chatFunctions(tellAll) {
  return {
    /** The name stands in the URL with which the page connects. From now on it is the user of the connection. */
    "system:connect": async ({ data }) => {
      const name = (data.query?.name?.[0] ?? "").trim();
      if (!NAME.test(name) || name.toLowerCase() === OUR_NAME.toLowerCase()) {
        throw new Refusal(400, "This is not a name for a chat.");
      }
      return { json: { userId: name } };
    },

    "system:connected": ({ context }) => tellAll(`[${OUR_NAME}] ${context.userId} has joined.`),

    "system:disconnected": ({ context }) => tellAll(`[${OUR_NAME}] ${context.userId} has left.`),

    /** Everybody gets the line; the answer is for the sender alone. */
    "user:message": async ({ context, data, dataType }) => {
      if (dataType !== "text" || data.trim() === "" || data.length > LONGEST_LINE) {
        return { text: `Nobody got this: write a line of 1 to ${LONGEST_LINE} characters.` };
      }
      await tellAll(`[${context.userId}] ${data}`);
      const sent = (context.state.sent ?? 0) + 1;
      return { text: sent === 1 ? "Your first line was sent." : `${sent} lines of yours were sent.`, state: { sent } };
    },
  };
}
