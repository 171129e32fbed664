//! The way of data from a request to its part: a thread of its own writes it, while the next bytes come in.

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
}

/// A recording whose data comes in. What was written is removed where this is dropped before its end.
#[derive(Debug)]
pub struct Receiving<B> {
    pieces: mpsc::Sender<Piece<B>>,
    written: JoinHandle<Result<Ingest, IngestError>>,
}

impl Ingest {
    /// Begins to take the data.
    pub fn receive<B: AsRef<[u8]> + Send + 'static>(mut self) -> Receiving<B> {
        let (pieces, mut coming) = mpsc::channel(PIECES_MAX);
        let written = tokio::task::spawn_blocking(move || {
            while let Some(piece) = coming.blocking_recv() {
                match piece {
                    Piece::Bytes(bytes) => self.add(B::as_ref(&bytes))?,
                    Piece::End => {
                        self.end()?;
                        return Ok(self);
                    }
                }
            }
            Err(IngestError::Ended)
        });
        Receiving { pieces, written }
    }
}

impl<B> Receiving<B> {
    /// Adds a piece of the data. False: no more is taken, and [`Receiving::end`] says why.
    pub async fn add(&self, piece: B) -> bool {
        self.pieces.send(Piece::Bytes(piece)).await.is_ok()
    }

    /// All of the data has come. Waits until it is synced.
    ///
    /// # Errors
    /// It could not be written, or was too much.
    pub async fn end(self) -> Result<Ingest, IngestError> {
        // Where nobody listens any more, the thread says why.
        let _ = self.pieces.send(Piece::End).await;
        self.written.await.map_err(|_| IngestError::Ended)?
    }
}
