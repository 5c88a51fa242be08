//! Questions to everyone who may know, and this worker's answers.

use std::sync::Arc;

use codec::ids::HubName;
use tokio::sync::oneshot;

use super::exchange::Asked;
use super::{PATIENCE, Pending, RouteError, Router, channel_of};
use crate::backplane::{Channel, Content, Reply};
use crate::hub::MemberKey;
use crate::model::command::{Target, Topic};
use crate::model::survey::{Answer, Leaving, Move, PermissionAnswer, Question, Selection, Survey};

/// Memberships that are changed before other tasks have their turn.
const SLICE: usize = 4096;

impl Router {
    /// Asks every node that may know and puts their answers together.
    ///
    /// # Errors
    /// [`RouteError::BusFull`] and [`RouteError::Unreachable`] when the question did not reach the others,
    /// [`RouteError::Incomplete`] when one of them did not answer in time: what is known without it is not passed off
    /// as the whole.
    pub async fn survey(&self, survey: Survey) -> Result<Answer, RouteError> {
        let topic = topic_of(&survey);
        let channel = channel_of(&topic);
        let is_sought_at_home = matches!(channel, Channel::Node(_));
        let answer = self.survey_at(&channel, survey.clone()).await?;
        if is_sought_at_home && answer == nothing_known(&survey.question) {
            // A connection that has moved is not where its id says. Whoever has it now watches its own topic.
            return self.survey_at(&Channel::Topic(topic), survey).await;
        }
        Ok(answer)
    }

    pub(super) async fn survey_at(&self, channel: &Channel, survey: Survey) -> Result<Answer, RouteError> {
        let survey = Arc::new(survey);
        let asked = self.0.exchange.ask();
        let (receipt, receivers) = oneshot::channel();
        let question = Content::Question { id: asked.id, survey: Arc::clone(&survey) };
        self.publish_to(channel, question, Some(receipt))?;
        let gather = async {
            let receivers = receivers.await.map_err(|_| RouteError::Unreachable)?;
            collect(asked, receivers.map_err(|_| RouteError::Unreachable)?, &survey.question).await
        };
        let answer = tokio::time::timeout(PATIENCE, gather).await.map_err(|_| RouteError::Incomplete)??;
        Ok(cut(answer, &survey.question))
    }

    /// This worker's answer to a question about targets and groups, and what has to be waited for before it is given.
    /// Questions about sessions are `None`: whoever holds the sessions answers them. Much work is done in slices.
    pub async fn answer(&self, survey: &Survey) -> Option<(Answer, Pending)> {
        let hub = &survey.hub;
        let settled = |answer| Some((answer, Pending::default()));
        match &survey.question {
            Question::Count(target) => settled(Answer::Count(self.shard().count(hub, target))),
            Question::Members { group, after, limit } => {
                settled(Answer::Members(self.shard().list(hub, group, after.as_ref(), *limit)))
            }
            Question::GroupStates { group, limit } => {
                settled(Answer::GroupStates(self.shard().states(hub, group, *limit)))
            }
            Question::Join { who, groups } => {
                let keys = self.select(hub, who);
                let mut pending = Pending::default();
                for group in groups {
                    for slice in keys.chunks(SLICE) {
                        pending = pending.and(self.join_all(slice, hub, group.clone()));
                        self.breathe(slice.len()).await;
                    }
                }
                Some((Answer::Count(keys.len() as u64), pending))
            }
            Question::Leave { who, groups } => {
                let keys = self.select(hub, who);
                self.end_subscriptions(hub, &keys, groups).await;
                for &key in &keys {
                    self.leave_all(hub, key, groups).await;
                }
                settled(Answer::Count(keys.len() as u64))
            }
            Question::Close { .. }
            | Question::Permission { .. }
            | Question::Prepare { .. }
            | Question::HandOver { .. }
            | Question::Adopt { .. } => None,
        }
    }

    fn select(&self, hub: &HubName, who: &Selection) -> Vec<MemberKey> {
        self.shard().select(hub, &who.target, &[], who.filter.as_ref())
    }

    /// Those who are about to leave a group together see its states no longer: each would be told of all before it.
    async fn end_subscriptions(&self, hub: &HubName, keys: &[MemberKey], groups: &Leaving) {
        let Leaving::Groups(groups) = groups else {
            for slice in keys.chunks(SLICE) {
                self.shard().end_subscriptions(slice);
                self.breathe(slice.len()).await;
            }
            return;
        };
        for group in groups {
            let topic = Topic { hub: hub.clone(), target: Target::Group(group.clone()) };
            for slice in keys.chunks(SLICE) {
                slice.iter().for_each(|&key| self.shard().unsubscribe_states(key, &topic));
                self.breathe(slice.len()).await;
            }
        }
    }

    async fn leave_all(&self, hub: &HubName, key: MemberKey, groups: &Leaving) {
        let targets = match groups {
            Leaving::Every => self.shard().groups_of(key),
            Leaving::Groups(groups) => groups.iter().cloned().map(Target::Group).collect(),
        };
        for target in &targets {
            self.leave(key, hub, target);
            self.breathe(1).await;
        }
    }

    /// Lets others have their turn when so many steps have been done since they had it, or when much waits to be
    /// written.
    async fn breathe(&self, steps: usize) {
        let done = self.0.steps.get() + steps;
        if done < SLICE && !self.shard().needs_flush() {
            self.0.steps.set(done);
            return;
        }
        self.0.steps.set(0);
        tokio::task::yield_now().await;
    }
}

/// Puts together what so many nodes reply.
async fn collect(mut asked: Asked<'_>, receivers: u64, question: &Question) -> Result<Answer, RouteError> {
    let mut answer = nothing_known(question);
    for _ in 0..receivers {
        match asked.replies.recv().await {
            Some(Reply::Known(more)) => answer = merge(answer, more),
            Some(Reply::Unknown) | None => return Err(RouteError::Incomplete),
        }
    }
    Ok(answer)
}

/// Whose holders may know the answer.
pub(super) fn topic_of(survey: &Survey) -> Topic {
    let target = match &survey.question {
        Question::Count(target) | Question::Close { target, .. } => target.clone(),
        Question::Members { group, .. } | Question::GroupStates { group, .. } => Target::Group(group.clone()),
        Question::Join { who, .. } | Question::Leave { who, .. } => who.target.clone(),
        Question::Permission { connection, .. }
        | Question::Prepare { connection }
        | Question::HandOver { connection, .. }
        | Question::Adopt { connection } => Target::Connection(connection.clone()),
    };
    Topic { hub: survey.hub.clone(), target }
}

/// The answer when nobody knows anything.
pub(super) fn nothing_known(question: &Question) -> Answer {
    match question {
        Question::Count(_)
        | Question::Join { .. }
        | Question::Leave { .. }
        | Question::Close { .. }
        | Question::Adopt { .. } => Answer::Count(0),
        Question::Members { .. } => Answer::Members(Vec::new()),
        Question::GroupStates { .. } => Answer::GroupStates(Vec::new()),
        Question::Permission { .. } => Answer::Permission(PermissionAnswer::NoConnection),
        Question::Prepare { .. } | Question::HandOver { .. } => Answer::Move(Move::Nothing),
    }
}

/// What two parts of the service know together.
pub(super) fn merge(known: Answer, more: Answer) -> Answer {
    match (known, more) {
        (Answer::Count(known), Answer::Count(more)) => Answer::Count(known + more),
        (Answer::Members(mut known), Answer::Members(mut more)) => {
            known.append(&mut more);
            Answer::Members(known)
        }
        (Answer::GroupStates(mut known), Answer::GroupStates(mut more)) => {
            known.append(&mut more);
            Answer::GroupStates(known)
        }
        (known, Answer::Permission(PermissionAnswer::NoConnection) | Answer::Move(Move::Nothing)) => known,
        (_, more) => more,
    }
}

/// Brings the parts of a listing into one order and one length.
fn cut(answer: Answer, question: &Question) -> Answer {
    match (answer, question) {
        (Answer::Members(mut members), Question::Members { limit, .. }) => {
            members.sort_unstable_by(|a, b| a.connection_id.cmp(&b.connection_id));
            members.truncate(*limit);
            Answer::Members(members)
        }
        (Answer::GroupStates(mut items), Question::GroupStates { limit, .. }) => {
            items.sort_unstable_by(|a, b| a.connection_id.cmp(&b.connection_id));
            items.truncate(*limit);
            Answer::GroupStates(items)
        }
        (answer, _) => answer,
    }
}
