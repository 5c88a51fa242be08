//! Frames from a client: masked, perhaps fragmented, perhaps cut anywhere by the network.

use std::borrow::Cow;

use super::frame::Opcode;

/// Most bytes of content in a control frame.
const MAX_CONTROL: usize = 125;
/// Longest header of a masked frame.
const MAX_HEADER: usize = 14;

/// Something whole that a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A message of text.
    Text(Cow<'a, str>),
    /// A message of bytes.
    Binary(Cow<'a, [u8]>),
    /// Wants a pong with this content.
    Ping(Cow<'a, [u8]>),
    /// A sign of life.
    Pong,
    /// The client's last frame, with its code if it has one and its reason.
    Close(Option<u16>, Cow<'a, str>),
}

/// Why the connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame breaks a rule of RFC 6455: close code 1002.
    #[error("the frame breaks a rule of RFC 6455")]
    Invalid,
    /// Text, or the reason of a close frame, is not UTF-8: close code 1007.
    #[error("the text is not valid UTF-8")]
    Utf8,
    /// The message, all its fragments together, is longer than allowed: close code 1009.
    #[error("the message is too long")]
    TooLarge,
}

/// Turns a client's bytes into [`Item`]s. Holds memory only while a frame or message is incomplete.
#[derive(Debug, Default)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
}

/// What has come of an incomplete frame or message.
#[derive(Debug, Default)]
struct Partial {
    /// Bytes of a header that is not whole yet.
    header: Vec<u8>,
    /// The frame whose content is coming in.
    frame: Option<OpenFrame>,
    /// Content of that frame, if it is a control frame.
    control: Vec<u8>,
    /// Kind of the message whose parts are coming in.
    message_kind: Option<Opcode>,
    /// Content of that message.
    message: Vec<u8>,
}

/// A frame whose header is known and whose content is not whole yet.
#[derive(Debug, Clone, Copy)]
struct OpenFrame {
    header: Header,
    /// How many bytes of content have come.
    received: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    is_final: bool,
    pub(super) mask: [u8; 4],
    pub(super) content_len: usize,
}

impl Decoder {
    /// Takes the next item off the front of `input`, which is unmasked in place. `None` means that all of `input` is
    /// used up and more is needed. `max_message` is the longest message in bytes, fragments added up.
    ///
    /// # Errors
    /// Any [`FrameError`] ends the connection; the decoder must not be used again.
    pub fn next<'a>(
        &mut self,
        input: &mut &'a mut [u8],
        max_message: usize,
    ) -> Result<Option<Item<'a>>, FrameError> {
        loop {
            if self.partial.is_none() && input.is_empty() {
                return Ok(None);
            }
            let open = self.partial.as_ref().and_then(|partial| partial.frame);
            let frame = match open {
                Some(frame) => frame,
                None => match self.read_header(input, max_message)? {
                    Some(header) => OpenFrame { header, received: 0 },
                    None => return Ok(None),
                },
            };
            if let Some(item) = self.read_content(frame, input)? {
                return Ok(item.into());
            }
            if input.is_empty() && self.is_waiting_for_content() {
                return Ok(None);
            }
        }
    }

    fn is_waiting_for_content(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| partial.frame.is_some())
    }

    /// Reads a header, from the bytes kept of it and from `input`; keeps them if it is not whole.
    fn read_header(
        &mut self,
        input: &mut &mut [u8],
        max_message: usize,
    ) -> Result<Option<Header>, FrameError> {
        let kept = self.partial.as_ref().map_or(0, |partial| partial.header.len());
        let mut bytes = [0; MAX_HEADER];
        let fresh = input.len().min(MAX_HEADER - kept);
        if let Some(partial) = &self.partial {
            bytes[..kept].copy_from_slice(&partial.header);
        }
        bytes[kept..kept + fresh].copy_from_slice(&input[..fresh]);
        let Some((header, header_len)) = Header::parse(&bytes[..kept + fresh])? else {
            if fresh > 0 {
                self.partial().header.extend_from_slice(&input[..fresh]);
                *input = &mut [];
            }
            return Ok(None);
        };
        let used = header_len - kept;
        *input = &mut std::mem::take(input)[used..];
        if let Some(partial) = &mut self.partial {
            partial.header.clear();
        }
        self.check(header, max_message)?;
        Ok(Some(header))
    }

    /// Rules that need to know what came before.
    fn check(&self, header: Header, max_message: usize) -> Result<(), FrameError> {
        if header.opcode.is_control() {
            return Ok(());
        }
        let (open_message, so_far) = match &self.partial {
            Some(partial) => (partial.message_kind.is_some(), partial.message.len()),
            None => (false, 0),
        };
        if open_message != (header.opcode == Opcode::Continuation) {
            return Err(FrameError::Invalid);
        }
        if header.content_len > max_message - so_far.min(max_message) {
            return Err(FrameError::TooLarge);
        }
        Ok(())
    }

    /// Reads what `input` has of a frame's content. A whole frame that is a whole message is lent from `input`;
    /// everything else is collected.
    fn read_content<'a>(
        &mut self,
        frame: OpenFrame,
        input: &mut &'a mut [u8],
    ) -> Result<Option<Item<'a>>, FrameError> {
        let OpenFrame { header, received } = frame;
        let available = input.len().min(header.content_len - received);
        let (content, rest) = std::mem::take(input).split_at_mut(available);
        *input = rest;
        unmask(content, header.mask, received);

        let is_whole = received + available == header.content_len;
        let stands_alone = header.is_final && header.opcode != Opcode::Continuation;
        if is_whole && received == 0 && stands_alone {
            self.forget_frame();
            return item(header.opcode, Cow::Borrowed(content)).map(Some);
        }
        let partial = self.partial();
        if header.opcode.is_control() {
            partial.control.extend_from_slice(content);
        } else {
            partial.message.extend_from_slice(content);
        }
        if !is_whole {
            partial.frame = Some(OpenFrame { header, received: received + available });
            return Ok(None);
        }
        self.finish_collected(header)
    }

    /// Ends a frame whose content was collected.
    fn finish_collected<'a>(&mut self, header: Header) -> Result<Option<Item<'a>>, FrameError> {
        let partial = self.partial();
        partial.frame = None;
        if header.opcode.is_control() {
            let content = std::mem::take(&mut partial.control);
            self.forget_frame();
            return item(header.opcode, Cow::Owned(content)).map(Some);
        }
        let kind = *partial.message_kind.get_or_insert(header.opcode);
        if !header.is_final {
            return Ok(None);
        }
        let content = std::mem::take(&mut partial.message);
        self.partial = None;
        item(kind, Cow::Owned(content)).map(Some)
    }

    /// Ends a frame that leaves nothing to keep; all is dropped unless a message is still open.
    fn forget_frame(&mut self) {
        match &mut self.partial {
            Some(partial) if partial.message_kind.is_some() => partial.frame = None,
            _ => self.partial = None,
        }
    }

    fn partial(&mut self) -> &mut Partial {
        self.partial.get_or_insert_default()
    }
}

impl Header {
    /// Reads a header from the front of `bytes`, with its length; `None` means that it is not whole.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let opcode = Opcode::from_bits(first & 0x0F).ok_or(FrameError::Invalid)?;
        let is_final = first & 0x80 != 0;
        let has_reserved_bits = first & 0x70 != 0;
        let is_masked = second & 0x80 != 0;
        let short_len = second & 0x7F;
        let is_bad_control = opcode.is_control() && (!is_final || usize::from(short_len) > MAX_CONTROL);
        if has_reserved_bits || !is_masked || is_bad_control {
            return Err(FrameError::Invalid);
        }
        let (content_len, len_bytes) = match (short_len, rest) {
            (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 2),
            (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 8),
            (126 | 127, _) => return Ok(None),
            (len, _) => (u64::from(len), 0),
        };
        let Some(&mask) = rest[len_bytes..].first_chunk::<4>() else {
            return Ok(None);
        };
        // A length that has its highest bit set, or that no memory can hold, is too large whatever the limit is.
        let content_len = usize::try_from(content_len).map_err(|_| FrameError::TooLarge)?;
        Ok(Some((Self { opcode, is_final, mask, content_len }, 2 + len_bytes + 4)))
    }
}

fn item(opcode: Opcode, content: Cow<'_, [u8]>) -> Result<Item<'_>, FrameError> {
    match opcode {
        Opcode::Text => text(content).map(Item::Text),
        Opcode::Binary => Ok(Item::Binary(content)),
        Opcode::Ping => Ok(Item::Ping(content)),
        Opcode::Pong => Ok(Item::Pong),
        Opcode::Close => close(&content),
        Opcode::Continuation => Err(FrameError::Invalid),
    }
}

fn text(content: Cow<'_, [u8]>) -> Result<Cow<'_, str>, FrameError> {
    match content {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| FrameError::Utf8),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| FrameError::Utf8),
    }
}

fn close<'a>(content: &[u8]) -> Result<Item<'a>, FrameError> {
    let (code, reason) = match content {
        [] => return Ok(Item::Close(None, Cow::Borrowed(""))),
        [_] => return Err(FrameError::Invalid),
        [a, b, reason @ ..] => (u16::from_be_bytes([*a, *b]), reason),
    };
    if !may_be_sent(code) {
        return Err(FrameError::Invalid);
    }
    let reason = text(Cow::Owned(reason.to_vec()))?;
    Ok(Item::Close(Some(code), reason))
}

/// Codes that RFC 6455 and its registry allow on the wire.
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Undoes the mask of content that starts `offset` bytes into its frame.
pub(super) fn unmask(content: &mut [u8], mut mask: [u8; 4], offset: usize) {
    mask.rotate_left(offset % 4);
    let (words, tail) = content.as_chunks_mut::<4>();
    let mask_word = u32::from_ne_bytes(mask);
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ mask_word).to_ne_bytes();
    }
    for (byte, mask) in tail.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests;
