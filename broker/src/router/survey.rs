//! Questions to everyone who may know, and this worker's answers.

use std::collections::HashSet;
use std::sync::Arc;

use codec::ids::{HubName, NodeId};

use super::exchange::Asked;
use super::{PATIENCE, Pending, RouteError, Router, channel_of};
use crate::backplane::{Channel, Content, Outlook, Reply};
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
    /// [`RouteError::Incomplete`] when one of them did not answer in time, or cannot be asked just now: what is known
    /// without it is not passed off as the whole.
    pub async fn survey(&self, survey: Survey) -> Result<Answer, RouteError> {
        let survey = Arc::new(survey);
        let found = tokio::time::timeout(PATIENCE, self.find_out(&survey)).await;
        Ok(cut(found.map_err(|_| RouteError::Incomplete)??, &survey.question))
    }

    /// Whoever watches the topic is asked. A node whose link to Redis was lost, and which has not told Redis again what
    /// it watches, is not among them: that there is nobody is certain only when every node says so that may know better.
    async fn find_out(&self, survey: &Arc<Survey>) -> Result<Answer, RouteError> {
        let topic = topic_of(survey);
        // A list must be whole, not only right.
        let is_list = matches!(survey.question, Question::Members { .. });
        if !is_list {
            let Told { answer, by } = self.ask(&channel_of(&topic), survey).await?;
            // States that are missed cost a subscriber less than it would cost all nodes to be asked each time.
            let is_something = answer != nothing_known(&survey.question)
                || matches!(survey.question, Question::GroupStates { .. });
            if is_something || self.have_all_told(&topic, &by) {
                return Ok(answer);
            }
        }
        let Told { answer, by } = self.ask(&Channel::AllNodes, survey).await?;
        let is_enough = !is_list && answer != nothing_known(&survey.question);
        if is_enough || self.have_all_told(&topic, &by) { Ok(answer) } else { Err(RouteError::Incomplete) }
    }

    pub(super) async fn ask(&self, channel: &Channel, survey: &Arc<Survey>) -> Result<Told, RouteError> {
        let asked = self.0.exchange.ask();
        let question = Content::Question { id: asked.id, survey: Arc::clone(survey) };
        let receivers = self.reach(channel, question).await?;
        collect(asked, receivers, &survey.question).await
    }

    pub(super) fn have_all_told(&self, topic: &Topic, by: &HashSet<NodeId>) -> bool {
        may_know(topic, self.node(), &self.0.bus.outlook()).iter().all(|node| by.contains(node))
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
                pending.unwritten = self.unwritten(&keys);
                Some((Answer::Count(keys.len() as u64), pending))
            }
            Question::Leave { who, groups } => {
                let keys = self.select(hub, who);
                self.end_subscriptions(hub, &keys, groups).await;
                for &key in &keys {
                    self.leave_all(hub, key, groups).await;
                }
                let pending = Pending { unwritten: self.unwritten(&keys), ..Pending::default() };
                Some((Answer::Count(keys.len() as u64), pending))
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

/// What some nodes have replied.
pub(super) struct Told {
    pub(super) answer: Answer,
    pub(super) by: HashSet<NodeId>,
}

/// Puts together what so many nodes reply.
async fn collect(mut asked: Asked<'_>, receivers: u64, question: &Question) -> Result<Told, RouteError> {
    let mut told = Told { answer: nothing_known(question), by: HashSet::new() };
    for _ in 0..receivers {
        match asked.replies.recv().await {
            Some((node, Reply::Known(more))) => {
                told.answer = merge(told.answer, more);
                told.by.insert(node);
            }
            Some((_, Reply::Unknown)) | None => return Err(RouteError::Incomplete),
        }
    }
    Ok(told)
}

/// Nodes that may hold what is asked for, as far as they are known: all that are not gone. A connection may have moved
/// from the node that its id names.
fn may_know(topic: &Topic, own: &NodeId, outlook: &Outlook) -> Vec<NodeId> {
    let is_there = |node: &NodeId| node == own || !outlook.is_gone(node);
    let home = match &topic.target {
        Target::Connection(id) => id.node(),
        Target::Hub | Target::Group(_) | Target::User(_) => None,
    };
    let others = outlook.others.keys().filter(|node| is_there(node)).cloned();
    let mut nodes: Vec<_> = others.chain([own.clone()]).collect();
    if let Some(home) = home.filter(|home| is_there(home) && !nodes.contains(home)) {
        nodes.push(home);
    }
    nodes
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
        Question::Count(_) | Question::Join { .. } | Question::Leave { .. } | Question::Close { .. } => {
            Answer::Count(0)
        }
        Question::Members { .. } => Answer::Members(Vec::new()),
        Question::GroupStates { .. } => Answer::GroupStates(Vec::new()),
        Question::Permission { .. } => Answer::Permission(PermissionAnswer::NoConnection),
        Question::Prepare { .. } | Question::HandOver { .. } | Question::Adopt { .. } => {
            Answer::Move(Move::Nothing)
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use codec::ids::{ConnectionId, UserId};

    use super::*;
    use crate::backplane::Standing;

    #[test]
    fn all_may_know_that_are_not_gone_and_the_node_that_a_connection_names_may_be_unheard_of() {
        let node = |name: &str| NodeId::new(name).unwrap();
        let others = [("b", Standing::Alive), ("c", Standing::Silent), ("d", Standing::Gone)];
        let others: BTreeMap<_, _> = others.map(|(name, standing)| (node(name), standing)).into();
        let outlook = |unheard| Outlook { fault: None, others: others.clone(), unheard };
        let check = |target: Target, outlook: &Outlook, expected: &[&str]| {
            let topic = Topic { hub: HubName::new("chat").unwrap(), target: target.clone() };
            let nodes = may_know(&topic, &node("own"), outlook);
            assert_eq!(nodes, expected.iter().map(|name| node(name)).collect::<Vec<_>>(), "{target:?}");
        };
        let at = |home: &str| Target::Connection(ConnectionId::new(1, 0, &node(home)));
        let (all, settled) = (["b", "c", "own"], outlook(Standing::Gone));
        check(Target::User(UserId::new("ann").unwrap()), &settled, &all);
        check(Target::Hub, &outlook(Standing::Silent), &all);
        check(Target::Connection(ConnectionId::parse("none").unwrap()), &settled, &all);
        // Its client may have gone on elsewhere.
        for home in ["b", "c", "d", "e", "own"] {
            check(at(home), &settled, &all);
        }
        check(at("e"), &outlook(Standing::Silent), &["b", "c", "own", "e"]);
        check(Target::Hub, &Outlook::alone(), &["own"]);
    }
}
