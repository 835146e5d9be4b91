//! One schedule: a proxy, its clients and PostgreSQL in one thread, under a clock of their own, all from one seed.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pgstrata::auth::accept::{Opening, open};
use pgstrata::config::Config;
use pgstrata::pool::servers::Servers;
use pgstrata::session::start::start;
use pgstrata::shared::Shared;
use pgstrata::simulation::{Fault, install};
use pgstrata_sql::Engine;
use pgstrata_testkit::Random;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Arrival, live};
use crate::frames::{Frame, field};
use crate::pipe::{End, Weather, pipe};
use crate::universe::{Sight, TENANTS, Troubles, Universe};

/// Longer than anything may take: whoever waits that long waits for ever.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// What came of a schedule.
pub struct Verdict {
    /// What must not be was.
    pub problem: Option<String>,
    /// All that happened, where that was asked for.
    pub trace: Vec<String>,
}

/// What a seed makes of a schedule.
struct Shape {
    random: Random,
    weather: Weather,
    troubles: Troubles,
    setup: Setup,
    clients: usize,
    /// How often the configuration is read again.
    reloads: usize,
}

/// What the configuration says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    servers: usize,
    /// The databases that there were before.
    moves: usize,
    qualified: bool,
    pub roles: bool,
    switches: bool,
}

/// The proxy, as its clients reach it.
pub struct House {
    pub universe: Arc<Universe>,
    pub has_troubles: bool,
    setup: Cell<Setup>,
    /// How often all clients had to leave for a newer configuration.
    evictions: Cell<usize>,
    /// The servers of databases that there were.
    retired: RefCell<Vec<Servers>>,
    /// The cancel requests.
    cancels: RefCell<Vec<JoinHandle<()>>>,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
    weather: Weather,
    random: RefCell<Random>,
}

impl Shape {
    fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let rough = random.below(2) == 0;
        let weather = match rough {
            true => Weather { delays: 3, longest: 8, cuts: 3, room: [256, 700, 1 << 20][random.below(3)] },
            false => Weather { delays: 6, longest: 3, cuts: 0, room: 1 << 20 },
        };
        let troubles = match random.below(3) {
            0 => Troubles { deaths: 60, refusals: 10 },
            _ => Troubles { deaths: 0, refusals: 0 },
        };
        let setup = Setup {
            qualified: random.below(2) == 0,
            roles: random.below(3) == 0,
            servers: 1 + random.below(3),
            switches: random.below(2) == 0,
            moves: 0,
        };
        let clients = 2 + random.below(4);
        let reloads = random.below(4).saturating_sub(1);
        Self { random, weather, troubles, setup, clients, reloads }
    }
}

impl Setup {
    fn config(&self) -> Config {
        let strategy = if self.qualified { "schema_qualified" } else { "search_path" };
        let tier = if self.roles { "role" } else { "names" };
        let text = format!(
            "[pool]\nmax_servers = {}\nwait_timeout = \"20s\"\n\
             [tenancy]\nstrategy = \"{strategy}\"\ntier = \"{tier}\"\n\
             [databases.app]\nhost = \"postgresql\"\ndatabase = \"app{}\"\nuser = \"app\"\ntls = \"disable\"\n\
             [[users]]\nname = \"app\"\nauth = \"trust\"\ntenants = [\"*\"]\ntenant_switch = {}\n",
            self.servers, self.moves, self.switches
        );
        Config::parse(&text, Path::new("simulation.toml")).unwrap()
    }

    /// What somebody makes of it.
    fn change(&mut self, random: &mut Random) {
        match random.below(4) {
            0 => self.qualified = !self.qualified,
            1 => self.roles = !self.roles,
            2 => self.moves += 1,
            _ => {}
        }
        self.servers = 1 + random.below(3);
    }

    /// Whether clients go on by it who have come by the other.
    pub fn is_as_good_as(&self, other: &Self) -> bool {
        Self { servers: other.servers, ..*self } == *other
    }
}

/// Runs the schedule of that seed with a mistake, or none; `engine` is used again by the next one.
pub fn run(seed: u64, fault: Option<Fault>, traced: bool, engine: &mut Option<Engine>) -> Verdict {
    let shape = Shape::of(seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let local = LocalSet::new();
    let universe = runtime.block_on(async { Universe::new(seed, shape.weather, shape.troubles, traced) });
    install(Some(Rc::new(Sight(Arc::clone(&universe)))), fault);
    let config = shape.setup.config();
    let plans = engine.take().unwrap_or_else(|| Engine::new(config.limits.plan_cache_bytes));
    let shared = local.block_on(&runtime, async { Shared::with_engine(config, plans).unwrap() });
    local.block_on(&runtime, play(shape, Arc::clone(&universe), Arc::clone(&shared)));
    drop(local);
    drop(runtime);
    install(None, None);
    *engine = Arc::into_inner(shared).map(|shared| shared.engine);
    let (problem, trace) = universe.verdict();
    Verdict { problem, trace }
}

async fn play(mut shape: Shape, universe: Arc<Universe>, shared: Arc<Shared>) {
    let (_stopping, stop) = watch::channel(false);
    let house = Rc::new(House {
        universe: Arc::clone(&universe),
        has_troubles: shape.troubles.deaths > 0,
        setup: Cell::new(shape.setup),
        evictions: Cell::default(),
        retired: RefCell::default(),
        cancels: RefCell::default(),
        shared: Arc::clone(&shared),
        stop,
        weather: shape.weather,
        random: RefCell::new(Random::new(shape.random.below(usize::MAX) as u64)),
    });
    let clients = send_clients(&house, &mut shape);
    send_reloads(&house, &mut shape);
    let all = async {
        for client in clients {
            client.await.unwrap();
        }
    };
    if timeout(FOR_EVER, all).await.is_err() {
        return universe.violated(|| "a client waits for ever".to_owned());
    }
    if timeout(FOR_EVER, house.all_cancelled()).await.is_err() {
        return universe.violated(|| "a cancel request waits for ever".to_owned());
    }
    // What is being cleaned comes back, or is closed.
    if timeout(FOR_EVER, house.all_back()).await.is_err() {
        universe.violated(|| "a server never comes back".to_owned());
    }
}

/// The clients, each with a script of its own.
fn send_clients(house: &Rc<House>, shape: &mut Shape) -> Vec<JoinHandle<()>> {
    let (random, switches) = (&mut shape.random, shape.setup.switches);
    let client = |client| {
        let tenant = TENANTS[random.below(TENANTS.len())];
        let (seed, steps) = (random.below(usize::MAX) as u64, 2 + random.below(10));
        spawn_local(live(Rc::clone(house), Arrival { client, tenant, seed, switches, steps }))
    };
    (1..=shape.clients).map(client).collect()
}

/// Whoever changes the configuration.
fn send_reloads(house: &Rc<House>, shape: &mut Shape) {
    for _ in 0..shape.reloads {
        let (house, after) = (Rc::clone(house), shape.random.below(100) as u64);
        let mut random = Random::new(shape.random.below(usize::MAX) as u64);
        spawn_local(async move {
            sleep(Duration::from_millis(after)).await;
            house.reload(&mut random);
        });
    }
}

impl House {
    /// A new connection to the proxy.
    pub fn connect(&self) -> End {
        let (near, far) = pipe(self.weather, &mut self.random.borrow_mut());
        spawn_local(serve(far, Arc::clone(&self.shared), self.stop.clone()));
        near
    }

    /// Asks for the cancellation of what the client with that key runs, in a while.
    pub fn cancel(self: &Rc<Self>, key: Vec<u8>, after: u64) {
        let this = Rc::clone(self);
        let cancel = spawn_local(async move {
            sleep(Duration::from_millis(after)).await;
            let mut stream = this.connect();
            let packet = [&16i32.to_be_bytes()[..], &80_877_102i32.to_be_bytes(), &key].concat();
            if stream.write_all(&packet).await.is_ok() {
                _ = stream.read(&mut [0]).await;
            }
        });
        self.cancels.borrow_mut().push(cancel);
    }

    async fn all_cancelled(&self) {
        let all = self.cancels.take();
        for cancel in all {
            cancel.await.unwrap();
        }
    }

    /// Each server is back in its pool, or closed.
    async fn all_back(&self) {
        let mut all = self.retired.take();
        all.push(self.servers());
        for servers in all {
            while servers.status().size > servers.status().idle {
                sleep(Duration::from_millis(100)).await;
            }
        }
    }

    fn servers(&self) -> Servers {
        self.shared.current().databases["app"].home.servers.clone()
    }

    /// Has the proxy read another configuration.
    fn reload(&self, random: &mut Random) {
        let (before, servers) = (self.setup.get(), self.servers());
        let mut setup = before;
        setup.change(random);
        let report = self.shared.go_on_by(setup.config()).unwrap();
        self.universe.say(|| format!("  the configuration is read again: {report}"));
        self.setup.set(setup);
        if before.moves != setup.moves {
            self.retired.borrow_mut().push(servers);
        }
        if !setup.is_as_good_as(&before) {
            self.evictions.set(self.evictions.get() + 1);
        }
    }

    /// What the configuration says now.
    pub fn setup(&self) -> Setup {
        self.setup.get()
    }

    /// How often all clients had to leave so far.
    pub fn evictions(&self) -> usize {
        self.evictions.get()
    }

    /// A session ends with these words: that may be so where servers die.
    pub fn excuse(&self, what: &str, word: &Frame) {
        let code = field(&word.body, b'C');
        match self.has_troubles {
            true => self.universe.say(|| format!("{what}: {code}")),
            false => self.universe.violated(|| format!("{what}: {code} {}", field(&word.body, b'M'))),
        }
    }
}

/// The proxy's side of a connection, as a thread of the proxy would serve it.
async fn serve(stream: End, shared: Arc<Shared>, stop: watch::Receiver<bool>) {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1)).into();
    let mut newest = shared.news();
    let snapshot = Arc::clone(&newest.borrow_and_update());
    match open(stream, peer, &snapshot.accept).await {
        Ok(Opening::Session(login)) => {
            let until = Instant::now() + snapshot.config.listen.login_timeout;
            if let Ok(session) = start(*login, shared, (snapshot, newest), stop, until).await {
                Box::new(session).run().await;
            }
        }
        Ok(Opening::Cancel { request, stream }) => {
            if let Some(slot) = shared.cancels.find(request.pid, &request.key) {
                slot.cancel().await;
            }
            drop(stream);
        }
        // Nobody in a schedule looks after the proxy.
        Ok(Opening::Console(_)) | Err(_) => {}
    }
}
