//! The client's side of an ingest: a recording handed over to a server, with the digest of all that is sent.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::client::{Client, ClientError, escape};

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;

/// How long nothing may move. The server may wait for its disk, and then for its index.
const STALL: Duration = Duration::from_secs(120);

/// A recording to be handed over.
#[derive(Clone, Debug)]
pub struct HandOver {
    /// Where it goes: relative to the root, without extension.
    pub path: String,
    /// The root's id or configured path; none: the only one that takes recordings.
    pub root: Option<String>,
    /// The bytes of its sidecar.
    pub sidecar: Vec<u8>,
    /// Its data.
    pub data: Data,
}

/// The data of a recording.
#[derive(Clone, Debug)]
pub enum Data {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The content of a file, which is read twice: for its digest, and to be sent.
    File(PathBuf),
}

/// How the server took it.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Files were put in place for it; else all was there already.
    pub is_new: bool,
    /// Bytes of the data that were sent.
    pub size: u64,
    /// The recording, as the server shows it.
    pub recording: Value,
}

/// Why a recording was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// The data cannot be read.
    #[error("{} cannot be read", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// The server does not take it.
    #[error(transparent)]
    Server(#[from] ClientError),
}

impl HandOverError {
    /// Whether the same may be taken when it is handed over again.
    pub fn is_passing(&self) -> bool {
        match self {
            HandOverError::Data { .. } => false,
            HandOverError::Server(error) => match error {
                ClientError::NoAnswer { .. } => true,
                ClientError::Refused { status, .. } => *status == StatusCode::REQUEST_TIMEOUT,
                ClientError::Unavailable { status, .. } => {
                    *status != StatusCode::INSUFFICIENT_STORAGE
                }
            },
        }
    }
}

/// Hands a recording over once. It may be handed over again, whatever came of it.
///
/// # Errors
/// The data cannot be read, no answer comes, or the server does not take it.
pub async fn hand_over(client: &Client, recording: &HandOver) -> Result<Taken, HandOverError> {
    let boundary = format!("focus-{}", uuid::Uuid::new_v4().simple());
    let part = |name: &str, kind: &str| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n"
        )
    };
    let head = [
        part("sidecar", "application/json").as_bytes(),
        &recording.sidecar,
        b"\r\n",
        part("data", "application/octet-stream").as_bytes(),
    ]
    .concat();
    let tail = format!("\r\n--{boundary}--\r\n");
    let (size, digest) = summed_up(&recording.data, &head, tail.as_bytes()).await?;
    let data = match &recording.data {
        Data::Bytes(bytes) => Source::Bytes(Some(Bytes::from(bytes.clone()))),
        Data::File(path) => Source::File {
            file: open(path).await?,
            left: size,
            piece: vec![0; PIECE].into_boxed_slice(),
        },
    };
    let sent = Arc::new(AtomicU64::new(0));
    let length = head.len() as u64 + size + tail.len() as u64;
    let (head, tail) = (Some(Bytes::from(head)), Some(Bytes::from(tail)));
    let form = Form { head, data, tail, left: length, sent: Arc::clone(&sent) };
    let headers = [
        ("content-type", format!("multipart/form-data; boundary={boundary}")),
        ("content-digest", format!("sha-256=:{}:", STANDARD.encode(digest))),
    ];
    let root = recording.root.as_ref();
    let root = root.map(|root| format!("&root={}", escape(root))).unwrap_or_default();
    let path = format!("/api/v1/recordings?path={}{root}", escape(&recording.path));
    let (status, recording) = client.send_form(&path, &headers, form, stalled(sent)).await?;
    Ok(Taken { is_new: status == StatusCode::CREATED, size, recording })
}

/// Waits until nothing has been sent for too long.
async fn stalled(sent: Arc<AtomicU64>) {
    let mut before = None;
    loop {
        let now = sent.load(Ordering::Relaxed);
        if before.replace(now) == Some(now) {
            return;
        }
        tokio::time::sleep(STALL).await;
    }
}

async fn open(path: &PathBuf) -> Result<File, HandOverError> {
    File::open(path).await.map_err(|cause| HandOverError::Data { path: path.clone(), cause })
}

/// Bytes of the data, and the SHA-256 of the whole form.
async fn summed_up(
    data: &Data,
    head: &[u8],
    tail: &[u8],
) -> Result<(u64, [u8; 32]), HandOverError> {
    let mut sum = Sha256::new_with_prefix(head);
    let size = match data {
        Data::Bytes(bytes) => {
            sum.update(bytes);
            bytes.len() as u64
        }
        Data::File(path) => {
            let mut file = open(path).await?;
            let (mut size, mut piece) = (0, vec![0; PIECE]);
            loop {
                let read = file.read(&mut piece).await;
                match read.map_err(|cause| HandOverError::Data { path: path.clone(), cause })? {
                    0 => break size,
                    read => {
                        sum.update(&piece[..read]);
                        size += read as u64;
                    }
                }
            }
        }
    };
    sum.update(tail);
    Ok((size, sum.finalize().into()))
}

/// The form, read as it is sent.
struct Form {
    head: Option<Bytes>,
    data: Source,
    tail: Option<Bytes>,
    /// Bytes that are still to be sent.
    left: u64,
    sent: Arc<AtomicU64>,
}

enum Source {
    Bytes(Option<Bytes>),
    File { file: File, left: u64, piece: Box<[u8]> },
}

impl Source {
    /// The next piece; none at the end.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        match self {
            Source::Bytes(bytes) => Poll::Ready(Ok(bytes.take().filter(|bytes| !bytes.is_empty()))),
            Source::File { left: 0, .. } => Poll::Ready(Ok(None)),
            Source::File { file, left, piece } => {
                let length = usize::try_from(*left).unwrap_or(PIECE).min(PIECE);
                let mut read = ReadBuf::new(&mut piece[..length]);
                ready!(Pin::new(file).poll_read(context, &mut read))?;
                let bytes = Bytes::copy_from_slice(read.filled());
                if bytes.is_empty() {
                    let words = "it has become shorter while it was sent";
                    return Poll::Ready(Err(io::Error::other(words)));
                }
                *left -= bytes.len() as u64;
                Poll::Ready(Ok(Some(bytes)))
            }
        }
    }
}

impl Body for Form {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let bytes = match self.head.take() {
            Some(head) => Some(head),
            None => match ready!(self.data.poll(context))? {
                Some(bytes) => Some(bytes),
                None => self.tail.take(),
            },
        };
        let Some(bytes) = bytes else { return Poll::Ready(None) };
        self.left -= bytes.len() as u64;
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
