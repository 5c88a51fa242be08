//! A case: bytes out, frames in, and how the connection is at the end.

use crate::support::{ClientSpec, Frame, Opcode, RawSocket, Server};

/// How the connection must be once the expected frames have come.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// It works: a close with 1000 is answered in kind.
    Open,
    /// The broker closes with this code and reason.
    Fails(u16, &'static str),
    /// The client's close frame comes back with this content, and then the end.
    Echoes(Vec<u8>),
    /// The client's close frame comes back with this code and whatever reason, and then the end.
    EchoesCode(u16),
}

/// A forbidden frame.
pub(crate) const INVALID: End = End::Fails(1002, "The client frame is invalid.");
/// Text that is not UTF-8.
pub(crate) const NOT_UTF8: End = End::Fails(1007, "The client message is not valid UTF-8.");

/// What is written, and what must come back.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    name: String,
    bytes: Vec<u8>,
    chop: usize,
    expected: Vec<Frame>,
    end: End,
}

impl Case {
    /// These frames are written at once; nothing but an open connection is expected.
    pub(crate) fn new(name: impl Into<String>, frames: &[Frame]) -> Self {
        let bytes = frames.iter().flat_map(Frame::bytes).collect();
        Self { name: name.into(), bytes, chop: usize::MAX, expected: Vec::new(), end: End::Open }
    }

    /// This message is written and comes back.
    pub(crate) fn echo(name: impl Into<String>, message: Frame) -> Self {
        Self::new(name, std::slice::from_ref(&message)).expect(message)
    }

    /// Writes in pieces of so many bytes.
    pub(crate) fn in_chops(mut self, size: usize) -> Self {
        self.chop = size;
        self.name.push_str(&format!(", in chops of {size}"));
        self
    }

    /// This comes back next.
    pub(crate) fn expect(mut self, frame: Frame) -> Self {
        self.expected.push(frame.unmasked());
        self
    }

    /// This is how it ends.
    pub(crate) fn end(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    async fn run(self, server: &Server) {
        let spec = ClientSpec::publisher("echo").group("echo").role("webpubsub.sendToGroup.echo");
        let mut socket = server.raw_upgraded("chat", &spec).await;
        socket.write_in_chops(&self.bytes, self.chop).await;
        for expected in &self.expected {
            let frame = socket.try_read_frame().await;
            assert_same(&self.name, frame, expected);
        }
        self.check_end(&mut socket).await;
    }

    async fn check_end(&self, socket: &mut RawSocket) {
        let sent = Frame::close(1000, "done");
        if matches!(self.end, End::Open) {
            socket.send(&sent).await;
        }
        let frame = socket.try_read_frame().await;
        match &self.end {
            End::Open => assert_same(&self.name, frame, &sent.unmasked()),
            End::Fails(code, reason) => {
                assert_same(&self.name, frame, &Frame::close(*code, reason).unmasked());
                // As a client does; the broker need not wait for it.
                socket.send(&Frame::close(*code, "")).await;
            }
            End::Echoes(content) => {
                let expected = Frame::new(Opcode::CLOSE, content.clone()).unmasked();
                assert_same(&self.name, frame, &expected);
            }
            End::EchoesCode(code) => {
                let frame = frame.unwrap_or_else(|| panic!("{}: no close frame", self.name));
                assert_eq!(frame.opcode, Opcode::CLOSE, "{}", self.name);
                assert_eq!(frame.content.get(..2), Some(&code.to_be_bytes()[..]), "{}", self.name);
            }
        }
        if let Some(frame) = socket.try_read_frame().await {
            panic!("{}: {} came after the close", self.name, show(&frame));
        }
    }
}

/// Runs the cases one after another against one broker.
pub(crate) async fn check_all(cases: impl IntoIterator<Item = Case>) {
    let server = Server::start().await;
    for case in cases {
        case.run(&server).await;
    }
    server.stop().await;
}

/// Compares frames without printing a megabyte when they differ.
fn assert_same(case: &str, got: Option<Frame>, expected: &Frame) {
    let Some(got) = got else {
        panic!("{case}: the socket ended, and {} was expected", show(expected));
    };
    assert!(got == *expected, "{case}: {} came, and {} was expected", show(&got), show(expected));
}

fn show(frame: &Frame) -> String {
    let start: Vec<u8> = frame.content.iter().copied().take(40).collect();
    format!(
        "frame {} (final {}, reserved {}, masked {}) of {} bytes {:?}",
        frame.opcode.0,
        frame.is_final,
        frame.reserved,
        frame.mask.is_some(),
        frame.content.len(),
        String::from_utf8_lossy(&start),
    )
}

/// Bytes without a visible pattern, so that a wrong order or a wrong mask shows.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(next).collect()
}

/// Text of exactly so many bytes, with characters of one to four bytes.
pub(crate) fn text(length: usize) -> String {
    let mut text: String = "aé你😀".chars().cycle().take(length.div_ceil(2)).collect();
    let mut end = length.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    while text.len() < length {
        text.push('.');
    }
    text
}
