//! One connection to one server: made within a time limit, watched by TCP, ended when its owner lets go of it.

use std::io;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, ProtocolVersion, PushInfo, RedisConnectionInfo,
    RedisError, RedisResult, Value,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::config::Credentials;
use super::tap::{Heard, Tap};
use super::tls::ClientTls;
use super::{Address, LinkError};

/// Longest time until a server has accepted a connection, and again until it has said hello.
const CONNECT_TIME: Duration = Duration::from_secs(1);
/// After this long without a sign of life, TCP asks the other side for one, and again after each second.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// Longest time that the other side may leave bytes unacknowledged.
const USER_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes what servers send without being asked, on the task that reads.
pub(super) struct Ears {
    /// Messages.
    pub(super) heard: Heard,
    /// All else, the end of the connection included.
    pub(super) pushed: Box<dyn Fn(PushInfo) + Send + Sync>,
}

/// How a server is spoken to.
#[derive(Clone, Copy)]
pub(super) struct Manner<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) tls: Option<&'a ClientTls>,
}

/// See the module. Commands have no time limit of their own.
pub(super) struct Connection {
    commands: MultiplexedConnection,
    driver: AbortHandle,
}

impl Connection {
    /// Connects and says hello. What the server sends without being asked goes to `ears`.
    pub(super) async fn open(
        address: &Address,
        manner: Manner<'_>,
        ears: Option<Ears>,
    ) -> Result<Self, LinkError> {
        let unreachable = |reason: String| LinkError::Unreachable { address: address.clone(), reason };
        let stream = timeout(CONNECT_TIME, connect(address)).await;
        let stream =
            stream.map_err(|_| unreachable("nothing there takes a connection in time".to_owned()))?;
        let stream = stream.map_err(|error| unreachable(error.to_string()))?;
        let hello = timeout(CONNECT_TIME, async {
            match manner.tls {
                None => Self::hello(address, stream, manner, ears).await,
                Some(tls) => {
                    let stream = secure(address, tls, stream).await?;
                    Self::hello(address, stream, manner, ears).await
                }
            }
        });
        hello.await.map_err(|_| match manner.tls {
            None => unreachable("no answer in time".to_owned()),
            // A server that expects no TLS waits for more.
            Some(_) => unreachable("nothing there speaks TLS in time".to_owned()),
        })?
    }

    async fn hello(
        address: &Address,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        manner: Manner<'_>,
        ears: Option<Ears>,
    ) -> Result<Self, LinkError> {
        let mut info =
            RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        if let Some(username) = &manner.credentials.username {
            info = info.set_username(username);
        }
        if let Some(password) = &manner.credentials.password {
            info = info.set_password(password);
        }
        let mut config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let made = match ears {
            None => Self::begin(&info, stream, config).await,
            Some(Ears { heard, pushed }) => {
                config = config.set_push_sender(move |info| {
                    pushed(info);
                    Ok::<(), ()>(())
                });
                Self::begin(&info, Tap::new(stream, heard), config).await
            }
        };
        made.map_err(|error| refusal(address, &error))
    }

    async fn begin(
        info: &RedisConnectionInfo,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        config: AsyncConnectionConfig,
    ) -> RedisResult<Self> {
        let (commands, driver) = MultiplexedConnection::new_with_config(info, stream, config).await?;
        Ok(Self { commands, driver: tokio::spawn(driver).abort_handle() })
    }

    /// Sends one command and waits for its answer. An error of the server is an answer.
    pub(super) async fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.commands.send_packed_command(command).await
    }

    /// Sends commands in one go and waits for all answers.
    pub(super) async fn ask_all(&mut self, commands: &Pipeline) -> RedisResult<Vec<Value>> {
        self.commands.send_packed_commands(commands, 0, commands.len()).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn connect(address: &Address) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(Duration::from_secs(1));
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(stream)
}

async fn secure(
    address: &Address,
    tls: &ClientTls,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, LinkError> {
    let fault = |reason: String| LinkError::Tls { address: address.clone(), reason };
    let name = ServerName::try_from(address.host.clone()).map_err(|error| fault(error.to_string()))?;
    let secured = TlsConnector::from(ClientTls::clone(tls)).connect(name, stream).await;
    secured.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => fault(error.to_string()),
        _ => LinkError::Unreachable { address: address.clone(), reason: error.to_string() },
    })
}

/// Why a server does not let the node in.
fn refusal(address: &Address, error: &RedisError) -> LinkError {
    let code = error.code().unwrap_or_default();
    let address = address.clone();
    match error.kind() {
        ErrorKind::AuthenticationFailed => LinkError::Credentials(address),
        _ if matches!(code, "WRONGPASS" | "NOAUTH") => LinkError::Credentials(address),
        ErrorKind::RESP3NotSupported => LinkError::TooOld(address),
        ErrorKind::Io => LinkError::Unreachable { address, reason: error.to_string() },
        _ => LinkError::Unknown { address, command: "HELLO", reason: error.to_string() },
    }
}
