//! One call while it is carried out: its parsed parts, and the questions that operations put to the router.
//!
//! No operation lives here. `handle` makes a [`Call`], the operations read it.

use codec::filter::Filter;
use codec::ids::{ConnectionId, GroupName, HubName};
use http::request::Parts;

use super::Rest;
use super::access::Caller;
use super::error::RestError;
use super::names::Names;
use super::query::Query;
use crate::auth::audience::Peer;
use crate::auth::permission::Action;
use crate::model::command::Target;
use crate::model::survey::{Answer, Leaving, Member, PermissionAnswer, Question, Selection, Survey, Wish};

/// A call that may be carried out, as far as it is known without its body.
pub(super) struct Call<'c> {
    /// What all calls of this worker share.
    pub(super) rest: &'c Rest,
    /// Names in the path.
    pub(super) names: Names<'c>,
    /// Query parameters.
    pub(super) query: Query<'c>,
    /// Everything before the body, as received.
    pub(super) head: &'c Parts,
    /// Where the request comes from.
    pub(super) peer: Peer,
    /// Who makes the call; nobody is asked where no token is needed.
    pub(super) caller: Option<Caller>,
    /// Path below our prefix, with its escapes, without a slash at its end.
    pub(super) path: &'c str,
}

/// What a call that succeeded is answered with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Success {
    /// 200 without a body.
    Done,
    /// 200 with a JSON body.
    Json(Vec<u8>),
    /// 202: taken, not yet delivered.
    Accepted,
    /// 204.
    NoContent,
}

/// What an operation comes to.
pub(super) type Outcome = Result<Success, RestError>;

/// The permission of a connection in a group that a call is about.
pub(super) struct PermissionOf {
    /// Where the connection is.
    pub(super) hub: HubName,
    /// The connection.
    pub(super) connection: ConnectionId,
    /// The permitted action.
    pub(super) action: Action,
    /// In which group.
    pub(super) group: GroupName,
}

impl Call<'_> {
    /// Scheme, authority and prefix under which the caller knows us, without a slash at the end.
    pub(super) fn origin(&self) -> String {
        self.rest.parts.origins.public_url(&self.peer.origin(self.head))
    }

    /// The filter in the query.
    ///
    /// # Errors
    /// When it is repeated, or not an expression.
    pub(super) fn filter(&self) -> Result<Option<Filter>, RestError> {
        self.rest.filter(self.query.one("filter")?)
    }

    /// How many connections the target has.
    ///
    /// # Errors
    /// When not every node that may know has answered.
    pub(super) async fn count(&self, hub: HubName, target: Target) -> Result<u64, RestError> {
        self.ask_count(hub, Question::Count(target)).await
    }

    /// Makes connections members of groups and tells how many were chosen.
    ///
    /// # Errors
    /// As [`Call::count`].
    pub(super) async fn join(
        &self,
        hub: HubName,
        who: Selection,
        groups: Vec<GroupName>,
    ) -> Result<u64, RestError> {
        self.ask_count(hub, Question::Join { who, groups }).await
    }

    /// Ends memberships. That nobody was a member is no error.
    ///
    /// # Errors
    /// As [`Call::count`].
    pub(super) async fn leave(&self, hub: HubName, who: Selection, groups: Leaving) -> Result<(), RestError> {
        self.ask_count(hub, Question::Leave { who, groups }).await.map(drop)
    }

    /// Closes the target's connections but those that the query excludes, for the reason in the query.
    ///
    /// # Errors
    /// As [`Call::count`], and when the reason is repeated.
    pub(super) async fn close(&self, hub: HubName, target: Target) -> Outcome {
        let excluded = match target {
            Target::Connection(_) => Vec::new(),
            _ => self.query.excluded(),
        };
        let reason = self.query.reason()?;
        self.ask_count(hub, Question::Close { target, excluded, reason }).await?;
        Ok(Success::NoContent)
    }

    /// Members of a group after `after`, at most `limit`, in the order of connection ids.
    ///
    /// # Errors
    /// As [`Call::count`].
    pub(super) async fn members(
        &self,
        hub: HubName,
        group: GroupName,
        range: Range,
    ) -> Result<Vec<Member>, RestError> {
        let Range { after, limit } = range;
        match self.ask(hub, Question::Members { group, after, limit }).await? {
            Answer::Members(members) => Ok(members),
            _ => Err(RestError::Internal("a listing was answered with something else")),
        }
    }

    /// Asks about a permission, or changes it.
    ///
    /// # Errors
    /// As [`Call::count`].
    pub(super) async fn permission(
        &self,
        of: PermissionOf,
        wish: Wish,
    ) -> Result<PermissionAnswer, RestError> {
        let PermissionOf { hub, connection, action, group } = of;
        match self.ask(hub, Question::Permission { connection, action, group, wish }).await? {
            Answer::Permission(answer) => Ok(answer),
            _ => Err(RestError::Internal("a permission was answered with something else")),
        }
    }

    async fn ask_count(&self, hub: HubName, question: Question) -> Result<u64, RestError> {
        match self.ask(hub, question).await? {
            Answer::Count(count) => Ok(count),
            _ => Err(RestError::Internal("a count was answered with something else")),
        }
    }

    async fn ask(&self, hub: HubName, question: Question) -> Result<Answer, RestError> {
        Ok(self.rest.parts.router.survey(Survey { hub, question }).await?)
    }
}

/// Which part of a listing is wanted.
pub(super) struct Range {
    /// Only ids after this one.
    pub(super) after: Option<ConnectionId>,
    /// At most so many.
    pub(super) limit: usize,
}
