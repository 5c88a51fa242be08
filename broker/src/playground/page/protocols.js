// What a client of this page may speak, and how its messages are written. A new subprotocol is a row in PROTOCOLS; one
// with messages of its own brings its own actions.

import { Problem, fromHex, toBase64 } from "./server.js";

/** Publish, raise an event, or send whatever was typed, in JSON. */
const JSON_ACTIONS = [
  {
    name: "group",
    label: "to the group",
    fields: ["dataType", "noEcho", "ack"],
    write: ({ group, noEcho, ...input }) =>
      JSON.stringify({ type: "sendToGroup", group, ...(noEcho ? { noEcho } : {}), ...payload(input) }),
  },
  {
    name: "event",
    label: "an event",
    fields: ["event", "dataType", "ack"],
    write: ({ event, ...input }) => JSON.stringify({ type: "event", event, ...payload(input) }),
  },
  { name: "raw", label: "the data as it is", fields: [], write: ({ data }) => data },
];

/** Send the data itself: there is nothing around it. */
const SIMPLE_ACTIONS = [
  { name: "text", label: "text", fields: [], write: ({ data }) => data },
  { name: "binary", label: "bytes, in hex", fields: [], write: ({ data }) => fromHex(data) },
];

/**
 * In the order of the picker.
 *
 * - `subprotocol`: what is asked for at connect, if anything
 * - `speaksJson`: whether frames are JSON messages, so that groups can be joined and kinds be shown
 * - `acknowledges`: whether messages are numbered, and kept by the server until the client says that it has them
 * - `publishes`: whether all it sends goes to one group, named in the URL
 * - `actions`: what can be sent
 */
export const PROTOCOLS = [
  {
    name: "json",
    label: "json.webpubsub.azure.v1",
    subprotocol: "json.webpubsub.azure.v1",
    speaksJson: true,
    actions: JSON_ACTIONS,
  },
  {
    name: "jsonReliable",
    label: "json.reliable.webpubsub.azure.v1",
    subprotocol: "json.reliable.webpubsub.azure.v1",
    speaksJson: true,
    acknowledges: true,
    actions: JSON_ACTIONS,
  },
  { name: "sendEvent", label: "none: each message is an event", actions: SIMPLE_ACTIONS },
  { name: "sendToGroup", label: "none: all it sends goes to a group", publishes: true, actions: SIMPLE_ACTIONS },
];

/** The protocol of this name, or the first. */
export function protocolOf(name) {
  return PROTOCOLS.find((protocol) => protocol.name === name) ?? PROTOCOLS[0];
}

/** The query of the client URL. */
export function queryOf(protocol, publishTo) {
  return protocol.publishes ? { webpubsub_mode: "sendToGroup", group: publishTo } : {};
}

/** A message that joins or leaves a group. */
export function membership(type, group, ackId) {
  return JSON.stringify({ type, group, ackId });
}

/** Says that all numbered messages up to this one have been received. */
export function acknowledgement(sequenceId) {
  return JSON.stringify({ type: "sequenceAck", sequenceId });
}

function payload({ dataType, data, ackId }) {
  return { dataType, data: dataOf(dataType, data), ...(ackId === undefined ? {} : { ackId }) };
}

function dataOf(dataType, text) {
  switch (dataType) {
    case "binary":
      return toBase64(fromHex(text));
    case "json":
      try {
        return JSON.parse(text);
      } catch {
        throw new Problem('The data is not JSON. Write for example {"hello": "world"}.');
      }
    default:
      return text;
  }
}
