//! Messages: a payload, what travels beside it, and its place in a stream.

use codec::ids::{StreamId, UserId};
use codec::message::{
    Content, DataType, Payload, StreamFailure, StreamPart, StreamProgress, StreamSequenceId, UserError,
};
use codec::metadata::{InvalidMetadata, Metadata};
use proto::cluster::{self, metadata};

use super::fault::Fault;
use super::names;
use crate::model::command::Body;

pub(super) fn encode(
    from_user_id: Option<&UserId>,
    content: &Content,
    stream: Option<&StreamPart>,
) -> cluster::Message {
    cluster::Message {
        from_user_id: names::encode_user(from_user_id),
        payload: Some(encode_payload(&content.payload)),
        metadata: content.metadata.as_ref().map(encode_metadata),
        stream: stream.map(encode_stream_part),
    }
}

pub(super) fn decode(message: cluster::Message) -> Result<Body, Fault> {
    let cluster::Message { from_user_id, payload, metadata, stream } = message;
    let payload = decode_payload(names::required(payload, "payload")?)?;
    let metadata = metadata.map(decode_metadata).transpose()?;
    Ok(Body::Message {
        from_user_id: names::decode_user(from_user_id)?,
        content: Content { payload, metadata },
        stream: stream.map(decode_stream_part).transpose()?,
    })
}

fn encode_payload(payload: &Payload) -> cluster::Payload {
    let data_type = match payload.data_type() {
        DataType::Text => cluster::DataType::Text,
        DataType::Json => cluster::DataType::Json,
        DataType::Binary => cluster::DataType::Binary,
        DataType::Protobuf => cluster::DataType::Protobuf,
    };
    cluster::Payload { data_type: data_type.into(), data: payload.bytes().clone() }
}

fn decode_payload(payload: cluster::Payload) -> Result<Payload, Fault> {
    let cluster::Payload { data_type, data } = payload;
    let payload = match names::known(data_type)? {
        cluster::DataType::Text => Payload::text_from_utf8(data)?,
        cluster::DataType::Json => Payload::json(data)?,
        cluster::DataType::Binary => Payload::binary(data),
        cluster::DataType::Protobuf => Payload::protobuf(data)?,
        cluster::DataType::Unspecified => return Err(Fault::Unknown),
    };
    Ok(payload)
}

fn encode_metadata(metadata: &Metadata) -> cluster::Metadata {
    let entry = |(key, value): (&str, &str)| metadata::Entry { key: key.to_owned(), value: value.to_owned() };
    cluster::Metadata { entries: metadata.iter().map(entry).collect() }
}

fn decode_metadata(metadata: cluster::Metadata) -> Result<Metadata, InvalidMetadata> {
    Metadata::new(metadata.entries.into_iter().map(|metadata::Entry { key, value }| (key, value)))
}

fn encode_stream_part(part: &StreamPart) -> cluster::StreamPart {
    use cluster::StreamProgress as Progress;
    let (progress, user_error) = match &part.progress {
        StreamProgress::Open => (Progress::Open, None),
        StreamProgress::Complete => (Progress::Complete, None),
        StreamProgress::Broken(failure) => match failure {
            StreamFailure::IdleTimeout => (Progress::IdleTimeout, None),
            StreamFailure::InternalServerError => (Progress::InternalServerError, None),
            StreamFailure::Forbidden => (Progress::Forbidden, None),
            StreamFailure::Cancelled => (Progress::Cancelled, None),
            StreamFailure::UserError(error) => (Progress::UserError, Some(error)),
        },
    };
    let user_error = user_error.map(|UserError { message, code }| cluster::UserError {
        message: message.clone(),
        code: code.clone(),
    });
    cluster::StreamPart {
        stream_id: part.stream_id.as_str().to_owned(),
        sequence_id: part.sequence_id.0,
        progress: progress.into(),
        user_error,
    }
}

fn decode_stream_part(part: cluster::StreamPart) -> Result<StreamPart, Fault> {
    use cluster::StreamProgress as Progress;
    let cluster::StreamPart { stream_id, sequence_id, progress, user_error } = part;
    let progress = match names::known(progress)? {
        Progress::Open => StreamProgress::Open,
        Progress::Complete => StreamProgress::Complete,
        Progress::IdleTimeout => StreamProgress::Broken(StreamFailure::IdleTimeout),
        Progress::InternalServerError => StreamProgress::Broken(StreamFailure::InternalServerError),
        Progress::Forbidden => StreamProgress::Broken(StreamFailure::Forbidden),
        Progress::Cancelled => StreamProgress::Broken(StreamFailure::Cancelled),
        Progress::UserError => {
            let cluster::UserError { message, code } = names::required(user_error, "user_error")?;
            StreamProgress::Broken(StreamFailure::UserError(UserError { message, code }))
        }
        Progress::Unspecified => return Err(Fault::Unknown),
    };
    let (stream_id, sequence_id) = (StreamId::new(&stream_id), StreamSequenceId(sequence_id));
    Ok(StreamPart { stream_id, sequence_id, progress })
}
