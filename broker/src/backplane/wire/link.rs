//! What buses tell each other about the link itself.

use std::time::Duration;

use bytes::Bytes;
use proto::cluster::{self, envelope, repair, repaired};

use super::fault::Malformed;
use crate::backplane::{Partition, PartitionSet};

/// What buses tell each other, which no router sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkMessage {
    /// Comes every second: the origin is there.
    Beat {
        /// The last sequence that it has given.
        sequence: u64,
        /// For how long the process has been linked, in milliseconds; 0 when it does not say.
        age_ms: u64,
    },
    /// The origin's run ends, and nothing of it is left.
    Farewell {
        /// Whether Redis has taken all that it has published.
        is_complete: bool,
    },
    /// Answers a farewell or a checkpoint: the origin misses nothing of what that run has published.
    Complete {
        /// Which run of the node that is told.
        epoch: u64,
        /// Which checkpoint; 0 for a farewell.
        checkpoint: u64,
    },
    /// Asks who has all that the origin has published before.
    Checkpoint {
        /// Its number.
        number: u64,
    },
    /// Asks for what was published.
    Repair {
        /// The asker's number of the question.
        question: u64,
        /// To the channels of which partitions, and after which sequence.
        floors: Vec<(Partition, u64)>,
        /// How long ago at most, in whole milliseconds. Without a bound it is [`Duration::MAX`].
        within: Duration,
        /// How many bytes of envelopes in one message of the answer at most; 0 when it does not say.
        part_bytes: u64,
    },
    /// Brings what was asked for, in one message or several.
    Repaired {
        /// The number of the question.
        question: u64,
        /// Which message of the answer this is, from 0.
        part: u64,
        /// Partition, name of the channel, and bytes of each envelope, in the order of their sequences.
        envelopes: Vec<(Partition, String, Bytes)>,
        /// Whether no other message follows.
        is_last: bool,
        /// The partitions of which not all that was asked for comes, and maybe others; the same in all messages of an
        /// answer. Older envelopes may be gone.
        lacking: PartitionSet,
    },
    /// To itself, to see whether the link carries.
    Probe {
        /// Which one.
        number: u64,
    },
}

pub(super) fn encode(message: &LinkMessage) -> envelope::Body {
    match message {
        LinkMessage::Beat { sequence, age_ms } => {
            envelope::Body::Beat(cluster::Beat { sequence: *sequence, age_ms: *age_ms })
        }
        LinkMessage::Farewell { is_complete } => {
            envelope::Body::Farewell(cluster::Farewell { is_complete: *is_complete })
        }
        LinkMessage::Complete { epoch, checkpoint } => {
            envelope::Body::Complete(cluster::Complete { epoch: *epoch, checkpoint: *checkpoint })
        }
        LinkMessage::Checkpoint { number } => {
            envelope::Body::Checkpoint(cluster::Checkpoint { number: *number })
        }
        LinkMessage::Repair { question, floors, within, part_bytes } => {
            envelope::Body::Repair(cluster::Repair {
                floors: floors.iter().map(encode_floor).collect(),
                question: *question,
                within_ms: u64::try_from(within.as_millis()).unwrap_or(0),
                part_bytes: *part_bytes,
            })
        }
        LinkMessage::Repaired { question, part, envelopes, is_last, lacking } => {
            envelope::Body::Repaired(cluster::Repaired {
                question: *question,
                part: *part,
                envelopes: envelopes.iter().map(encode_published).collect(),
                is_last: *is_last,
                is_complete: lacking.is_empty(),
                // When it is all of them, that is what it means to say nothing.
                lacking: lacking
                    .iter()
                    .filter(|_| *lacking != PartitionSet::ALL)
                    .map(|partition| partition.0.into())
                    .collect(),
            })
        }
        LinkMessage::Probe { number } => envelope::Body::Probe(cluster::Probe { number: *number }),
    }
}

pub(super) fn beat(message: &cluster::Beat) -> LinkMessage {
    LinkMessage::Beat { sequence: message.sequence, age_ms: message.age_ms }
}

pub(super) fn farewell(message: &cluster::Farewell) -> LinkMessage {
    LinkMessage::Farewell { is_complete: message.is_complete }
}

pub(super) fn complete(message: &cluster::Complete) -> LinkMessage {
    LinkMessage::Complete { epoch: message.epoch, checkpoint: message.checkpoint }
}

pub(super) fn checkpoint(message: &cluster::Checkpoint) -> LinkMessage {
    LinkMessage::Checkpoint { number: message.number }
}

pub(super) fn repair(message: cluster::Repair) -> Result<LinkMessage, Malformed> {
    let floors: Result<_, _> = message.floors.into_iter().map(decode_floor).collect();
    let within = match message.within_ms {
        0 => Duration::MAX,
        bound => Duration::from_millis(bound),
    };
    let cluster::Repair { question, part_bytes, .. } = message;
    Ok(LinkMessage::Repair { question, floors: floors?, within, part_bytes })
}

pub(super) fn repaired(message: cluster::Repaired) -> Result<LinkMessage, Malformed> {
    let cluster::Repaired { envelopes, is_last, is_complete, question, part, lacking } = message;
    let envelopes: Result<_, _> = envelopes.into_iter().map(decode_published).collect();
    let lacking: Result<PartitionSet, _> = lacking.into_iter().map(decode_partition).collect();
    let lacking = match (is_complete, lacking?) {
        (true, _) => PartitionSet::EMPTY,
        // It does not say which.
        (false, PartitionSet::EMPTY) => PartitionSet::ALL,
        (false, lacking) => lacking,
    };
    Ok(LinkMessage::Repaired { question, part, envelopes: envelopes?, is_last, lacking })
}

pub(super) fn probe(message: &cluster::Probe) -> LinkMessage {
    LinkMessage::Probe { number: message.number }
}

fn encode_floor((partition, after): &(Partition, u64)) -> repair::Floor {
    repair::Floor { partition: partition.0.into(), after: *after }
}

fn decode_floor(floor: repair::Floor) -> Result<(Partition, u64), Malformed> {
    Ok((decode_partition(floor.partition)?, floor.after))
}

fn encode_published((partition, channel, bytes): &(Partition, String, Bytes)) -> repaired::Published {
    repaired::Published { partition: partition.0.into(), channel: channel.clone(), envelope: bytes.clone() }
}

fn decode_published(published: repaired::Published) -> Result<(Partition, String, Bytes), Malformed> {
    let repaired::Published { partition, channel, envelope } = published;
    Ok((decode_partition(partition)?, channel, envelope))
}

fn decode_partition(number: u32) -> Result<Partition, Malformed> {
    u8::try_from(number).map(Partition).map_err(|_| Malformed::Range("partition"))
}
