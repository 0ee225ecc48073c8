//! Something between a postman and its gateway that forgets connections, as a balancer or a NAT does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Passes bytes on. A connection that was idle for long is forgotten without a word, and whatever comes on
/// it after that is answered by a reset.
pub struct Forgetful {
    /// The address that it listens on.
    pub address: String,
    known: Arc<AtomicU64>,
    resets: Arc<AtomicU64>,
}

impl Forgetful {
    /// In front of an address, with so long a memory.
    pub async fn before(to: &str, memory: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (known, resets) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (to, counts) = (to.to_owned(), (known.clone(), resets.clone()));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (to, (known, resets)) = (to.clone(), counts.clone());
                tokio::spawn(async move {
                    known.fetch_add(1, Ordering::Relaxed);
                    let forgotten = pass(near, &to, memory).await;
                    known.fetch_sub(1, Ordering::Relaxed);
                    if let Some(near) = forgotten {
                        resets.fetch_add(u64::from(reset(near).await), Ordering::Relaxed);
                    }
                });
            }
        });
        Self {
            address,
            known,
            resets,
        }
    }

    /// Connections that it passes bytes on for.
    pub fn known(&self) -> u64 {
        self.known.load(Ordering::Relaxed)
    }

    /// Connections that were used after they were forgotten.
    pub fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }
}

/// Passes bytes on until one end closes, or nothing comes for too long: then it returns the near end, of
/// which nobody knows any more.
async fn pass(mut near: TcpStream, to: &str, memory: Duration) -> Option<TcpStream> {
    let mut far = TcpStream::connect(to).await.ok()?;
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            // Where this process was late, bytes that are there come before the end of its memory.
            biased;
            count = near.read(&mut up) => match count {
                Ok(count @ 1..) => far.write_all(&up[..count]).await.ok()?,
                _ => return None,
            },
            count = far.read(&mut down) => match count {
                Ok(count @ 1..) => near.write_all(&down[..count]).await.ok()?,
                _ => return None,
            },
            () = tokio::time::sleep(memory) => return Some(near),
        }
    }
}

/// Waits for what comes on a forgotten connection; whether that was more than its end.
async fn reset(mut near: TcpStream) -> bool {
    let was_used = near.read_u8().await.is_ok();
    if was_used {
        let now = Some(Duration::ZERO);
        socket2::SockRef::from(&near).set_linger(now).expect("set");
    }
    was_used
}
