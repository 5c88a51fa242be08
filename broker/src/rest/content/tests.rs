use codec::message::DataType;
use encoding_rs::{UTF_16LE, WINDOWS_1252};

use super::*;

#[test]
fn media_types_and_charsets() {
    use ContentType::{Binary, Json, Text};
    let rows = [
        ("", Some(Binary)),
        ("application/octet-stream", Some(Binary)),
        ("APPLICATION/Octet-Stream; charset=nonsense", Some(Binary)),
        ("text/plain", Some(Text(UTF_8))),
        ("Text/Plain; Charset=UTF-8", Some(Text(UTF_8))),
        ("text/plain;charset=\"utf-8\"", Some(Text(UTF_8))),
        ("text/plain; charset=\"u\\tf-8\"", Some(Text(UTF_8))),
        ("text/plain;", Some(Text(UTF_8))),
        ("text/plain; format=flowed; charset=iso-8859-1", Some(Text(WINDOWS_1252))),
        ("text/plain; charset=utf-16", Some(Text(UTF_16LE))),
        ("text/plain; note=\"a;b\"", Some(Text(UTF_8))),
        ("application/json", Some(Json(UTF_8))),
        ("application/json; charset=utf-8", Some(Json(UTF_8))),
        ("text/plain; charset=nonsense", None),
        ("text/plain; charset=", None),
        ("text/plain; charset=hz-gb-2312", None),
        ("text/plain; charset", None),
        ("text/plain; charset=\"utf-8", None),
        ("text/plain; charset=\"utf\"8\"", None),
        ("text/plain; =x", None),
        ("text/html", None),
        ("text", None),
        ("text/", None),
        ("text/plain, application/json", None),
        ("application/x-protobuf", None),
        ("application/json+x", None),
        ("; charset=utf-8", None),
    ];
    for (header, expected) in rows {
        assert_eq!(parse(header), expected, "{header}");
    }
}

#[test]
fn the_header_is_given_once() {
    let mut headers = HeaderMap::new();
    assert_eq!(ContentType::of(&headers).unwrap(), ContentType::Binary);
    headers.append(CONTENT_TYPE, "text/plain".parse().unwrap());
    assert_eq!(ContentType::of(&headers).unwrap(), ContentType::Text(UTF_8));
    headers.append(CONTENT_TYPE, "text/plain".parse().unwrap());
    assert!(matches!(ContentType::of(&headers), Err(RestError::MediaType)));
}

#[test]
fn bytes_become_what_they_are_declared_to_be() {
    let check = |header: &str, bytes: &'static [u8], expected: Option<(DataType, &[u8])>| {
        let payload = parse(header).unwrap().payload(Bytes::from_static(bytes)).ok();
        let seen = payload.as_ref().map(|payload| (payload.data_type(), &**payload.bytes()));
        assert_eq!(seen, expected, "{header} {bytes:?}");
    };
    check("", b"\xff\x00", Some((DataType::Binary, b"\xff\x00")));
    check("", b"", Some((DataType::Binary, b"")));
    check("text/plain", b"", Some((DataType::Text, b"")));
    check("text/plain", "é".as_bytes(), Some((DataType::Text, "é".as_bytes())));
    check("text/plain", b"\xe9", None);
    check("text/plain; charset=latin1", b"\xe9", Some((DataType::Text, "é".as_bytes())));
    check("text/plain; charset=utf-16", b"h\0i\0", Some((DataType::Text, b"hi")));
    check("text/plain; charset=utf-16", b"h\0i", None);
    check("application/json", b" {\"a\": 1} ", Some((DataType::Json, b" {\"a\": 1} ")));
    check("application/json; charset=utf-16", b"1\0", Some((DataType::Json, b"1")));
    check("application/json", b"", None);
    check("application/json", b"{} {}", None);
    check("application/json", b"\"\xe9\"", None);
}
