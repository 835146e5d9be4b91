//! The world as a simulated thread sees it. A simulation has one runtime, so one thread: what it is made of is the
//! thread's own.

use std::cell::RefCell;
use std::fmt::Debug;
use std::io;
use std::rc::Rc;

use pgstrata_sql::scope::{Builtins, SchemaNames};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Fault;
use super::fault::switch;

/// A connection to a simulated PostgreSQL.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Debug {
    /// Whether nothing has arrived: neither bytes nor the end of the stream.
    fn is_quiet(&self) -> bool;
}

/// What a simulation decides.
pub trait World {
    /// A new connection to PostgreSQL.
    fn dial(&self) -> io::Result<Box<dyn Stream>>;

    /// Fills `bytes` with numbers that follow from the seed.
    fn chance(&self, bytes: &mut [u8]);

    /// What a schema holds; `None`: there is no such schema.
    fn schema(&self, schema: &str) -> Option<SchemaNames>;

    /// What `pg_catalog` holds.
    fn builtins(&self) -> Builtins;

    /// The server with this process goes back to its pool, where others will find it.
    fn given_back(&self, pid: i32);
}

thread_local! {
    static WORLD: RefCell<Option<Rc<dyn World>>> = const { RefCell::new(None) };
}

/// From now on this thread is in `world`, and makes this mistake; without a world it is in the real one.
pub fn install(world: Option<Rc<dyn World>>, fault: Option<Fault>) {
    WORLD.set(world);
    switch(fault);
}

/// Asks the simulated world, if the thread is in one.
pub fn world<T>(ask: impl FnOnce(&dyn World) -> T) -> Option<T> {
    WORLD.with_borrow(Clone::clone).map(|world| ask(&*world))
}
