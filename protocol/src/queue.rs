//! The queues of a session. Messages lie in them in boxes: a queue has room for 32 from the start, and an idle session,
//! of which there may be ten thousand, has none.

use tokio::sync::mpsc;

/// Where messages are put. Dropping the last of its clones ends the queue.
#[derive(Debug)]
pub struct Outgoing<T>(pub(crate) mpsc::Sender<Box<T>>);

/// Where they are taken. Dropping it ends the queue.
#[derive(Debug)]
pub struct Incoming<T>(mpsc::Receiver<Box<T>>);

/// Nobody takes messages from the queue any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session has ended")]
pub struct Ended;

/// Why a message was not put into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotQueued {
    /// Nobody takes any more.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// As many wait as may.
    #[error("the queue is full")]
    Full,
}

/// A queue in which at most `room` messages wait.
#[must_use]
pub fn queue<T>(room: usize) -> (Outgoing<T>, Incoming<T>) {
    let (sender, receiver) = mpsc::channel(room);
    (Outgoing(sender), Incoming(receiver))
}

impl<T> Clone for Outgoing<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Outgoing<T> {
    /// Waits for room and puts a message there. Dropped while it waits, it puts none.
    ///
    /// # Errors
    /// If nobody takes any more.
    pub async fn send(&self, message: T) -> Result<(), Ended> {
        self.0.send(Box::new(message)).await.map_err(|_| Ended)
    }

    /// Puts a message there, if there is room.
    ///
    /// # Errors
    /// If there is none, or nobody takes any more.
    pub fn try_send(&self, message: T) -> Result<(), NotQueued> {
        self.0.try_send(Box::new(message)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotQueued::Full,
            mpsc::error::TrySendError::Closed(_) => NotQueued::Ended(Ended),
        })
    }

    /// Waits until nobody takes any more.
    pub async fn ended(&self) {
        self.0.closed().await;
    }
}

impl<T> Incoming<T> {
    /// The next message; none once the queue has ended and is empty. Cancel safe.
    pub async fn recv(&mut self) -> Option<T> {
        self.0.recv().await.map(|message| *message)
    }

    /// A message that waits already.
    pub fn try_recv(&mut self) -> Option<T> {
        self.0.try_recv().ok().map(|message| *message)
    }

    /// Lets no more be put there; what waits can still be taken.
    pub fn close(&mut self) {
        self.0.close();
    }
}
