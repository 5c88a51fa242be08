//! Which application protocols a socket may agree on, and which bytes each of them needs.
//!
//! Wire names and negotiation live here, message fields do not. Source: `client-protocols.md` 3.

/// Agreed application protocol of a socket. A socket without one is a simple WebSocket client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subprotocol {
    /// `json.webpubsub.azure.v1`
    Json,
    /// `json.reliable.webpubsub.azure.v1`
    JsonReliable,
    /// `protobuf.webpubsub.azure.v1`
    Protobuf,
    /// `protobuf.reliable.webpubsub.azure.v1`
    ProtobufReliable,
}

/// Form of bytes on the wire. Several subprotocols may share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// The payload alone, for sockets without a subprotocol.
    Simple,
    /// JSON envelopes.
    Json,
    /// Messages of the public protobuf schema.
    Protobuf,
}

/// What a socket's offer led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated<'a> {
    /// The chosen protocol.
    pub subprotocol: Subprotocol,
    /// Its name as the client spelled it, to be echoed.
    pub spelling: &'a str,
}

impl Subprotocol {
    /// Every protocol we speak.
    pub const ALL: [Self; 4] = [Self::Json, Self::JsonReliable, Self::Protobuf, Self::ProtobufReliable];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json.webpubsub.azure.v1",
            Self::JsonReliable => "json.reliable.webpubsub.azure.v1",
            Self::Protobuf => "protobuf.webpubsub.azure.v1",
            Self::ProtobufReliable => "protobuf.reliable.webpubsub.azure.v1",
        }
    }

    /// The bytes it needs.
    pub const fn encoding(self) -> Encoding {
        match self {
            Self::Json | Self::JsonReliable => Encoding::Json,
            Self::Protobuf | Self::ProtobufReliable => Encoding::Protobuf,
        }
    }

    /// Whether messages are numbered and kept until they are acknowledged, and a connection outlives its socket.
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Json | Self::Protobuf => false,
            Self::JsonReliable | Self::ProtobufReliable => true,
        }
    }

    /// Place in a table with one place for each protocol, in the order of [`Subprotocol::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Takes the first name of the offer that we speak, ignoring case; no such name makes a simple client.
    ///
    /// `offers` are the values of the `Sec-WebSocket-Protocol` headers in order, each a list separated by commas.
    pub fn negotiate<'a>(offers: impl IntoIterator<Item = &'a str>) -> Option<Negotiated<'a>> {
        offers.into_iter().flat_map(|list| list.split(',')).map(str::trim).find_map(|spelling| {
            let subprotocol =
                Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(spelling))?;
            Some(Negotiated { subprotocol, spelling })
        })
    }
}

impl Encoding {
    /// All of them, each in its place.
    pub const ALL: [Self; 3] = [Self::Simple, Self::Json, Self::Protobuf];
    /// How many there are, for tables with one place for each.
    pub const COUNT: usize = Self::ALL.len();

    /// Place in such a table.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The encoding of a socket that agreed on `subprotocol`.
    pub fn of(subprotocol: Option<Subprotocol>) -> Self {
        subprotocol.map_or(Self::Simple, Subprotocol::encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_supported_offer_wins_and_keeps_its_spelling() {
        let check = |offers: &[&'static str], expected: Option<&str>| {
            let got = Subprotocol::negotiate(offers.iter().copied());
            assert_eq!(got.map(|n| n.spelling), expected, "{offers:?}");
        };
        check(&[], None);
        check(&["mqtt, chat"], None);
        check(&["json.webpubsub.azure.v1"], Some("json.webpubsub.azure.v1"));
        check(&["unknown,JSON.WebPubSub.Azure.v1 , x"], Some("JSON.WebPubSub.Azure.v1"));
        check(&["unknown", "json.webpubsub.azure.v1"], Some("json.webpubsub.azure.v1"));
        check(
            &["Protobuf.webpubsub.azure.v1", "json.webpubsub.azure.v1"],
            Some("Protobuf.webpubsub.azure.v1"),
        );
        let reliable = "json.reliable.webpubsub.azure.v1";
        check(&[reliable, "json.webpubsub.azure.v1"], Some(reliable));
        check(&["json.webpubsub.azure.v1", reliable], Some("json.webpubsub.azure.v1"));
    }

    #[test]
    fn every_protocol_has_its_own_place() {
        let places: Vec<usize> = Subprotocol::ALL.into_iter().map(Subprotocol::index).collect();
        assert_eq!(places, (0..Subprotocol::ALL.len()).collect::<Vec<_>>());
    }

    #[test]
    fn every_encoding_has_its_own_place() {
        assert_eq!(Encoding::ALL.map(Encoding::index), [0, 1, 2]);
    }
}
