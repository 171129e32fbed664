//! The way of a recording from a request to storage and into the index, on a thread of its own: it writes while the next
//! bytes come in, and nobody has to be woken in between.

use focus_catalog::cpu;
use focus_index::Whole;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::error::IngestError;
use super::taking::Ingest;

/// Pieces that wait to be written at most. A piece is what came in at once, some 32 KiB.
const PIECES_MAX: usize = 32;

/// What the thread is told.
#[derive(Debug)]
enum Piece<B> {
    Bytes(B),
    End,
    Land,
}

/// A recording whose data comes in. What was written is removed where this is dropped before it is to land.
#[derive(Debug)]
pub struct Receiving<B> {
    pieces: mpsc::Sender<Piece<B>>,
    landed: JoinHandle<Result<(Whole, bool), IngestError>>,
}

impl Ingest {
    /// Takes the sidecar, and begins to take the data.
    pub fn receive<B: AsRef<[u8]> + Send + 'static>(self, sidecar: Vec<u8>) -> Receiving<B> {
        let (pieces, coming) = mpsc::channel(PIECES_MAX);
        let runtime = Handle::current();
        let landed = tokio::task::spawn_blocking(move || {
            cpu::counted(|| self.received(sidecar, coming, &runtime))
        });
        Receiving { pieces, landed }
    }

    fn received<B: AsRef<[u8]>>(
        mut self,
        sidecar: Vec<u8>,
        mut coming: mpsc::Receiver<Piece<B>>,
        runtime: &Handle,
    ) -> Result<(Whole, bool), IngestError> {
        self.sidecar(sidecar)?;
        while let Some(piece) = coming.blocking_recv() {
            match piece {
                Piece::Bytes(bytes) => self.add(bytes.as_ref())?,
                Piece::End => self.end()?,
                // Whoever asked may be gone from now on: what has begun is done to its end all the same.
                Piece::Land => return self.land(runtime)?.indexed(runtime),
            }
        }
        Err(IngestError::Ended)
    }
}

impl<B> Receiving<B> {
    /// Adds a piece of the data.
    pub async fn add(&self, piece: B) {
        self.tell(Piece::Bytes(piece)).await;
    }

    /// All of the data has come, and is synced from now on.
    pub async fn end(&self) {
        self.tell(Piece::End).await;
    }

    /// Returns when no more is taken: [`Receiving::land`] says why.
    pub async fn refused(&self) {
        self.pieces.closed().await;
    }

    /// Everything has come and is right: puts both files in place, and waits until the index has them. Returns what it has,
    /// and whether a file was put in place.
    ///
    /// # Errors
    /// It could not be catalogued or written, something is at its path or has its uuid, or the index does not have it in
    /// time.
    pub async fn land(self) -> Result<(Whole, bool), IngestError> {
        self.tell(Piece::Land).await;
        self.landed.await.map_err(|_| IngestError::Ended)?
    }

    /// Where nobody listens any more, [`Receiving::land`] says why.
    async fn tell(&self, piece: Piece<B>) {
        let _ = self.pieces.send(piece).await;
    }
}
