//! One connection through the proxy.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::protocol::Mode;

/// The database has to take a connection within this.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Carries one connection until a side closes it, or the mode ends it.
pub(super) async fn carry(mut client: TcpStream, upstream: &str, mode: &watch::Sender<Mode>) {
    let mut watched = mode.subscribe();
    let over = |mode: &Mode| matches!(mode, Mode::Refuse | Mode::Reset);
    let reset = {
        let carried = async {
            let connect = TcpStream::connect(upstream);
            let Ok(Ok(mut server)) = tokio::time::timeout(CONNECT_LIMIT, connect).await else {
                return;
            };
            // Small pieces must not wait for one another here.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (mut from_client, mut to_client) = client.split();
            let (mut from_server, mut to_server) = server.split();
            tokio::select! {
                () = pump(&mut from_client, &mut to_server, mode.subscribe()) => {}
                () = pump(&mut from_server, &mut to_client, mode.subscribe()) => {}
            }
        };
        tokio::select! {
            () = carried => false,
            ended = watched.wait_for(over) => ended.is_ok_and(|mode| *mode == Mode::Reset),
        }
    };
    if reset {
        // Closing without having read everything, and without lingering, is a reset.
        let _ = client.set_zero_linger();
    }
}

async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut mode: watch::Receiver<Mode>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return };
        if read == 0 {
            return;
        }
        // What was swallowed comes through when the hole is gone: TCP loses nothing.
        let Ok(mode) = mode.wait_for(|mode| *mode != Mode::BlackHole).await.map(|mode| *mode)
        else {
            return;
        };
        if let Mode::Slow { latency_ms, bytes_per_s } = mode {
            let bytes = u64::try_from(read).unwrap_or(u64::MAX);
            let carrying = bytes.saturating_mul(1_000).checked_div(bytes_per_s).unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(latency_ms.saturating_add(carrying))).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
