// Every operation of `WebPubSubServiceClient` and its group client, as one table: how to call it,
// which status it answers, and what it answers when its target does not exist. Used by the tests
// that hold for all operations alike.

const text = { contentType: "text/plain" };

/** Names of things that exist nowhere. */
export const NOBODY = { connection: "no-such-connection", user: "no-such-user", group: "no-such-group" };

/**
 * - `call(service, target, options)`: calls the operation for `target.connection`, `.user`, `.group`
 * - `status`: of the answer when the target exists
 * - `missing`: what the call gives when the target does not exist: a value, or the status and code
 *   of its error; absent when the call succeeds all the same
 */
export const OPERATIONS = [
  {
    name: "sendToAll",
    call: (service, target, options) => service.sendToAll("hello", { ...text, ...options }),
    status: 202,
  },
  {
    name: "sendToUser",
    call: (service, target, options) => service.sendToUser(target.user, "hello", { ...text, ...options }),
    status: 202,
  },
  {
    name: "sendToConnection",
    call: (service, target, options) => service.sendToConnection(target.connection, "hello", { ...text, ...options }),
    status: 202,
  },
  {
    name: "group.sendToAll",
    call: (service, target, options) => service.group(target.group).sendToAll("hello", { ...text, ...options }),
    status: 202,
  },
  {
    name: "connectionExists",
    call: (service, target, options) => service.connectionExists(target.connection, options),
    status: 200,
    missing: false,
  },
  {
    name: "groupExists",
    call: (service, target, options) => service.groupExists(target.group, options),
    status: 200,
    missing: false,
  },
  {
    name: "userExists",
    call: (service, target, options) => service.userExists(target.user, options),
    status: 200,
    missing: false,
  },
  {
    name: "group.listConnections",
    call: async (service, target, options) => {
      const members = [];
      for await (const member of await service.group(target.group).listConnections(options)) {
        members.push(member);
      }
      return members;
    },
    status: 200,
    missing: [],
  },
  {
    name: "group.addConnection",
    call: (service, target, options) => service.group(target.group).addConnection(target.connection, options),
    status: 200,
    missing: { statusCode: 404, code: "Error.Connection.NotExisted" },
  },
  {
    name: "group.removeConnection",
    call: (service, target, options) => service.group(target.group).removeConnection(target.connection, options),
    status: 204,
  },
  {
    name: "group.addUser",
    call: (service, target, options) => service.group(target.group).addUser(target.user, options),
    status: 200,
    missing: { statusCode: 404 },
  },
  {
    name: "group.removeUser",
    call: (service, target, options) => service.group(target.group).removeUser(target.user, options),
    status: 204,
  },
  {
    name: "addConnectionsToGroups",
    call: (service, target, options) => service.addConnectionsToGroups([target.group], "userId eq 'x'", options),
    status: 200,
  },
  {
    name: "removeConnectionsFromGroups",
    call: (service, target, options) => service.removeConnectionsFromGroups([target.group], "userId eq 'x'", options),
    status: 200,
  },
  {
    name: "removeUserFromAllGroups",
    call: (service, target, options) => service.removeUserFromAllGroups(target.user, options),
    status: 204,
  },
  {
    name: "removeConnectionFromAllGroups",
    call: (service, target, options) => service.removeConnectionFromAllGroups(target.connection, options),
    status: 204,
  },
  {
    name: "grantPermission",
    call: (service, target, options) =>
      service.grantPermission(target.connection, "sendToGroup", { targetName: "room", ...options }),
    status: 200,
    missing: { statusCode: 404, code: "Info.Connection.NotExisted" },
  },
  {
    name: "hasPermission",
    call: (service, target, options) =>
      service.hasPermission(target.connection, "sendToGroup", { targetName: "room", ...options }),
    status: 200,
    missing: false,
  },
  {
    name: "revokePermission",
    call: (service, target, options) =>
      service.revokePermission(target.connection, "sendToGroup", { targetName: "room", ...options }),
    status: 204,
  },
  {
    name: "closeConnection",
    call: (service, target, options) => service.closeConnection(target.connection, options),
    status: 204,
  },
  {
    name: "closeUserConnections",
    call: (service, target, options) => service.closeUserConnections(target.user, options),
    status: 204,
  },
  {
    name: "group.closeAllConnections",
    call: (service, target, options) => service.group(target.group).closeAllConnections(options),
    status: 204,
  },
  {
    name: "closeAllConnections",
    call: (service, target, options) => service.closeAllConnections(options),
    status: 204,
  },
];
