package hubbub.sdk;

import com.azure.core.http.rest.RequestOptions;
import com.azure.core.http.rest.Response;
import com.azure.core.util.BinaryData;
import com.azure.messaging.webpubsub.WebPubSubServiceClient;
import com.azure.messaging.webpubsub.models.WebPubSubContentType;
import com.azure.messaging.webpubsub.models.WebPubSubPermission;

/**
 * Every operation of {@code WebPubSubServiceClient} that has a response, as one table: how to call
 * it, the status of its success, and its answer to a target that does not exist.
 */
enum Operation {
    SEND_TO_ALL(202, Missing.SUCCEEDS, (service, target) ->
        service.sendToAllWithResponse(text(), WebPubSubContentType.TEXT_PLAIN, 5, options())),
    SEND_TO_USER(202, Missing.SUCCEEDS, (service, target) ->
        service.sendToUserWithResponse(target.user, text(), WebPubSubContentType.TEXT_PLAIN, 5, options())),
    SEND_TO_CONNECTION(202, Missing.SUCCEEDS, (service, target) ->
        service.sendToConnectionWithResponse(target.connection, text(), WebPubSubContentType.TEXT_PLAIN, 5, options())),
    SEND_TO_GROUP(202, Missing.SUCCEEDS, (service, target) ->
        service.sendToGroupWithResponse(target.group, text(), WebPubSubContentType.TEXT_PLAIN, 5, options())),
    CONNECTION_EXISTS(200, Missing.FALSE, (service, target) ->
        service.connectionExistsWithResponse(target.connection, options())),
    GROUP_EXISTS(200, Missing.FALSE, (service, target) ->
        service.groupExistsWithResponse(target.group, options())),
    USER_EXISTS(200, Missing.FALSE, (service, target) ->
        service.userExistsWithResponse(target.user, options())),
    ADD_CONNECTION_TO_GROUP(200, Missing.NOT_FOUND, (service, target) ->
        service.addConnectionToGroupWithResponse(target.group, target.connection, options())),
    REMOVE_CONNECTION_FROM_GROUP(204, Missing.SUCCEEDS, (service, target) ->
        service.removeConnectionFromGroupWithResponse(target.group, target.connection, options())),
    REMOVE_CONNECTION_FROM_ALL_GROUPS(204, Missing.SUCCEEDS, (service, target) ->
        service.removeConnectionFromAllGroupsWithResponse(target.connection, options())),
    ADD_USER_TO_GROUP(200, Missing.NOT_FOUND, (service, target) ->
        service.addUserToGroupWithResponse(target.group, target.user, options())),
    REMOVE_USER_FROM_GROUP(204, Missing.SUCCEEDS, (service, target) ->
        service.removeUserFromGroupWithResponse(target.group, target.user, options())),
    REMOVE_USER_FROM_ALL_GROUPS(204, Missing.SUCCEEDS, (service, target) ->
        service.removeUserFromAllGroupsWithResponse(target.user, options())),
    GRANT_PERMISSION(200, Missing.NOT_FOUND, (service, target) ->
        service.grantPermissionWithResponse(WebPubSubPermission.SEND_TO_GROUP, target.connection, forRoom())),
    CHECK_PERMISSION(200, Missing.FALSE, (service, target) ->
        service.checkPermissionWithResponse(WebPubSubPermission.SEND_TO_GROUP, target.connection, forRoom())),
    REVOKE_PERMISSION(204, Missing.SUCCEEDS, (service, target) ->
        service.revokePermissionWithResponse(WebPubSubPermission.SEND_TO_GROUP, target.connection, forRoom())),
    CLOSE_CONNECTION(204, Missing.SUCCEEDS, (service, target) ->
        service.closeConnectionWithResponse(target.connection, options())),
    CLOSE_USER_CONNECTIONS(204, Missing.SUCCEEDS, (service, target) ->
        service.closeUserConnectionsWithResponse(target.user, options())),
    CLOSE_GROUP_CONNECTIONS(204, Missing.SUCCEEDS, (service, target) ->
        service.closeGroupConnectionsWithResponse(target.group, options())),
    CLOSE_ALL_CONNECTIONS(204, Missing.SUCCEEDS, (service, target) ->
        service.closeAllConnectionsWithResponse(options()));

    /** What an operation answers when its target does not exist. */
    enum Missing {
        SUCCEEDS, FALSE, NOT_FOUND
    }

    /** Whom an operation is about. */
    record Target(String connection, String user, String group) {
        static final Target NOBODY = new Target("no-such-connection", "no-such-user", "no-such-group");
    }

    private interface Call {
        Response<?> on(WebPubSubServiceClient service, Target target);
    }

    final int status;
    final Missing missing;
    private final Call call;

    Operation(int status, Missing missing, Call call) {
        this.status = status;
        this.missing = missing;
        this.call = call;
    }

    Response<?> call(WebPubSubServiceClient service, Target target) {
        return call.on(service, target);
    }

    static RequestOptions options() {
        return new RequestOptions();
    }

    private static RequestOptions forRoom() {
        return options().addQueryParam("targetName", "room");
    }

    private static BinaryData text() {
        return BinaryData.fromString("hello");
    }
}
