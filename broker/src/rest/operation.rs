//! The closed set of operations: their names for the contract, and the function that carries out each.
//!
//! Which method and path lead to an operation is in the table of `mod.rs`.

use bytes::Bytes;
use hyper::body::Body;

use super::call::{Call, Outcome};
use super::{connection, group, hub, paging, permission, token, user};

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $id:literal,)*) => {
        /// One REST call that we offer, in the order of `rest-api.md` 6.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in the published API description; a closed set, fit for a label of a metric.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }
        }
    };
}

operations! {
    /// Is the node there and ready?
    GetServiceStatus = "HealthApi_GetServiceStatus",
    /// Adds chosen connections of a hub to groups.
    AddConnectionsToGroups = "WebPubSub_AddConnectionsToGroups",
    /// Closes the connections of a hub.
    CloseAllConnections = "WebPubSub_CloseAllConnections",
    /// Makes a token for a client.
    GenerateClientToken = "WebPubSub_GenerateClientToken",
    /// Removes chosen connections of a hub from groups.
    RemoveConnectionsFromGroups = "WebPubSub_RemoveConnectionsFromGroups",
    /// Sends to a hub.
    SendToAll = "WebPubSub_SendToAll",
    /// Closes a connection.
    CloseConnection = "WebPubSub_CloseConnection",
    /// Does a connection exist?
    ConnectionExists = "WebPubSub_ConnectionExists",
    /// Sends to a connection.
    SendToConnection = "WebPubSub_SendToConnection",
    /// Removes a connection from all its groups.
    RemoveConnectionFromAllGroups = "WebPubSub_RemoveConnectionFromAllGroups",
    /// Does a group have a member?
    GroupExists = "WebPubSub_GroupExists",
    /// Closes the connections of a group.
    CloseGroupConnections = "WebPubSub_CloseGroupConnections",
    /// Lists the members of a group.
    ListConnectionsInGroup = "WebPubSub_ListConnectionsInGroup",
    /// Sends to a group.
    SendToGroup = "WebPubSub_SendToGroup",
    /// Adds a connection to a group.
    AddConnectionToGroup = "WebPubSub_AddConnectionToGroup",
    /// Removes a connection from a group.
    RemoveConnectionFromGroup = "WebPubSub_RemoveConnectionFromGroup",
    /// Grants a permission to a connection.
    GrantPermission = "WebPubSub_GrantPermission",
    /// Revokes a permission of a connection.
    RevokePermission = "WebPubSub_RevokePermission",
    /// Does a connection have a permission?
    CheckPermission = "WebPubSub_CheckPermission",
    /// Does a user have a connection?
    UserExists = "WebPubSub_UserExists",
    /// Closes the connections of a user.
    CloseUserConnections = "WebPubSub_CloseUserConnections",
    /// Sends to a user.
    SendToUser = "WebPubSub_SendToUser",
    /// Adds a user's connections to a group.
    AddUserToGroup = "WebPubSub_AddUserToGroup",
    /// Removes a user's connections from a group.
    RemoveUserFromGroup = "WebPubSub_RemoveUserFromGroup",
    /// Removes a user's connections from all their groups.
    RemoveUserFromAllGroups = "WebPubSub_RemoveUserFromAllGroups",
}

impl Operation {
    /// Carries out a call that may be made.
    pub(super) async fn run<B>(self, call: &Call<'_>, body: &mut B) -> Outcome
    where
        B: Body<Data = Bytes> + Unpin,
    {
        match self {
            Self::GetServiceStatus => call.rest.status(),
            Self::AddConnectionsToGroups => hub::add_to_groups(call, body).await,
            Self::CloseAllConnections => hub::close(call).await,
            Self::GenerateClientToken => token::generate(call),
            Self::RemoveConnectionsFromGroups => hub::remove_from_groups(call, body).await,
            Self::SendToAll => hub::send(call, body).await,
            Self::CloseConnection => connection::close(call).await,
            Self::ConnectionExists => connection::exists(call).await,
            Self::SendToConnection => connection::send(call, body).await,
            Self::RemoveConnectionFromAllGroups => connection::leave_all_groups(call).await,
            Self::GroupExists => group::exists(call).await,
            Self::CloseGroupConnections => group::close(call).await,
            Self::ListConnectionsInGroup => paging::list(call).await,
            Self::SendToGroup => group::send(call, body).await,
            Self::AddConnectionToGroup => group::add_connection(call).await,
            Self::RemoveConnectionFromGroup => group::remove_connection(call).await,
            Self::GrantPermission => permission::grant(call).await,
            Self::RevokePermission => permission::revoke(call).await,
            Self::CheckPermission => permission::check(call).await,
            Self::UserExists => user::exists(call).await,
            Self::CloseUserConnections => user::close(call).await,
            Self::SendToUser => user::send(call, body).await,
            Self::AddUserToGroup => user::join_group(call).await,
            Self::RemoveUserFromGroup => user::leave_group(call).await,
            Self::RemoveUserFromAllGroups => user::leave_all_groups(call).await,
        }
    }
}
