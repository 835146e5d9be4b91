//! A client: it follows its script, and holds each answer against that of a PostgreSQL of its own.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::frames::{Fields, Frame, error, field, query, sync, take, texts};
use crate::ideal::Ideal;
use crate::pipe::End;
use crate::postgres::backend::Ran;
use crate::schedule::{House, Setup};
use crate::script::{Author, Request};
use crate::trace;

/// A client's life.
pub struct Client {
    house: Rc<House>,
    author: Author,
    ideal: Ideal,
    stream: End,
    bytes: Vec<u8>,
    /// What a cancel request needs.
    key: Vec<u8>,
    /// The configuration that it has come by, and how often others had to leave before.
    setup: Setup,
    evictions: usize,
    told_name: String,
    /// Its server was lost, and it hears of its parameters from the next.
    is_untold: bool,
    /// It has asked for a cancellation, which may reach any later request of its own.
    cancels: bool,
}

/// How a client begins.
pub struct Arrival {
    pub client: usize,
    pub tenant: &'static str,
    pub seed: u64,
    pub switches: bool,
    pub steps: usize,
}

/// How a session comes to its end.
enum Fate {
    /// With the client's life.
    Over,
    /// The configuration is another now: the client may come again.
    Dismissed,
}

/// The front of what the proxy says to those that it dismisses, and PostgreSQL never does.
const DISMISSAL: &str = "terminating connection: ";

/// Lives through it.
pub async fn live(house: Rc<House>, arrival: Arrival) {
    let mut author = Author::new(arrival.client, arrival.seed, arrival.switches);
    let mut left = arrival.steps;
    while let Some(mut client) = Client::enter(&house, author, arrival.tenant).await {
        match client.work(&mut left).await {
            Fate::Dismissed => author = client.author,
            Fate::Over => return,
        }
    }
}

impl Client {
    /// Logs in. `None`: it is not let in.
    async fn enter(house: &Rc<House>, mut author: Author, tenant: &str) -> Option<Self> {
        loop {
            author.is_named = author.random.below(3) == 0;
            let name = if author.is_named { format!("c{}v0", author.client) } else { String::new() };
            let (setup, evictions) = (house.setup(), house.evictions());
            let mut this = Self {
                ideal: Ideal::new(tenant, setup.roles, &name),
                stream: house.connect(),
                house: Rc::clone(house),
                author,
                bytes: Vec::new(),
                key: Vec::new(),
                setup,
                evictions,
                told_name: String::new(),
                is_untold: false,
                cancels: false,
            };
            let refusal = this.log_in(tenant, &name).await.err();
            match refusal {
                // By which of them it has come can't be told.
                _ if house.evictions() != evictions => author = this.author,
                None => return Some(this),
                Some(word) => {
                    house.excuse(&format!("client {} is not let in", this.number()), &word);
                    return None;
                }
            }
        }
    }

    /// Sends so many requests.
    async fn work(&mut self, left: &mut usize) -> Fate {
        while *left > 0 {
            *left -= 1;
            if self.author.random.below(8) == 0 {
                sleep(Duration::from_millis(self.author.random.below(20) as u64)).await;
            }
            let request = self.author.next(self.ideal.session());
            if self.author.random.below(40) == 0 {
                self.walk_out(&request).await;
                return Fate::Over;
            }
            if let Some(fate) = self.request(request).await {
                return fate;
            }
            if self.house.universe.is_violated() {
                return Fate::Over;
            }
        }
        self.say_goodbye().await;
        Fate::Over
    }

    fn number(&self) -> usize {
        self.author.client
    }

    /// The error: what is said to it in place of a greeting.
    async fn log_in(&mut self, tenant: &str, name: &str) -> Result<(), Frame> {
        let mut body = 196_608i32.to_be_bytes().to_vec();
        body.extend(texts(&["user", "app", "database", "app", "tenant", tenant]));
        if !name.is_empty() {
            body.extend(texts(&["application_name", name]));
        }
        body.push(0);
        let mut packet = u32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
        packet.extend(body);
        self.write(&packet).await;
        while let Some(frame) = self.read().await {
            match frame.tag {
                b'Z' => return Ok(()),
                b'K' => self.key = frame.body,
                b'E' => return Err(frame),
                _ => {}
            }
        }
        Err(closed())
    }

    /// Sends a request, and looks at its answer.
    async fn request(&mut self, request: Request) -> Option<Fate> {
        let number = self.number();
        for frame in &request.frames {
            self.house.universe.say(|| format!("client {number} -> {}", trace::show(frame, true)));
        }
        let rests = self.ideal.session().status() == b'I';
        self.may_cancel(&request, rests);
        let must_leave = rests && !self.house.setup().is_as_good_as(&self.setup);
        let (mut sent, mut answer) = (request.frames.clone(), Vec::new());
        self.send(&request.frames).await;
        let whole = self.answer(&request, &mut sent, &mut answer).await.is_some();
        let universe = &self.house.universe;
        universe.say(|| format!("client {number} <- {}", trace::show_all(&answer)));
        let ran = universe.take_ran(number);
        let is_harmless = rests && ran.is_empty();
        if !whole {
            return Some(self.lost(is_harmless, &answer));
        }
        if is_harmless && self.is_turned_away(&answer) {
            return None;
        }
        if must_leave {
            universe.violated(|| format!("client {number} goes on by a configuration of before"));
        }
        self.judge(&sent, &answer, &ran)
    }

    /// Asks for the cancellation of what it has sent, now and then: in a transaction more often, at its end above all.
    fn may_cancel(&mut self, request: &Request, rests: bool) {
        let ends = |frame: &Frame| frame.body.starts_with(b"commit") || frame.body.starts_with(b"rollback");
        let one_in = match rests {
            _ if request.sleeps => 2,
            true => 40,
            false if request.frames.iter().any(ends) => 3,
            false => 12,
        };
        if self.author.random.below(one_in) == 0 {
            self.cancels = true;
            let within = if request.sleeps { 50 } else { 10 };
            let after = self.author.random.below(within) as u64;
            self.house.cancel(self.key.clone(), after);
        }
    }

    /// Holds a whole answer, and what ran, against a PostgreSQL of the client's own.
    fn judge(&mut self, sent: &[Frame], answer: &[Frame], ran: &[Ran]) -> Option<Fate> {
        let judged = self.ideal.judge(sent, answer, ran, self.house.has_troubles || self.cancels);
        match judged {
            Ok(is_lost) => self.is_untold = is_lost || self.is_untold && ran.is_empty(),
            Err(problem) => {
                self.house.universe.violated(|| format!("client {}: {problem}", self.number()));
                return Some(Fate::Over);
            }
        }
        self.look_at_name(answer);
        None
    }

    /// Whether a request was given up, as the database that it waited for a server of is no more.
    fn is_turned_away(&self, answer: &[Frame]) -> bool {
        let removed = "the database was removed from the configuration";
        let is_said = matches!(answer, [error, ready]
            if field(&error.body, b'M').starts_with(removed) && ready.body == b"I");
        is_said && self.house.evictions() > self.evictions
    }

    /// What becomes of a client whose session ends in the middle of a request; `harmless`: nothing is lost with it.
    fn lost(&self, harmless: bool, answer: &[Frame]) -> Fate {
        let (number, house) = (self.number(), &self.house);
        let word = answer.last().filter(|frame| frame.tag == b'E').cloned().unwrap_or_else(closed);
        if !field(&word.body, b'M').starts_with(DISMISSAL) {
            house.excuse(&format!("client {number} loses its session"), &word);
            return Fate::Over;
        }
        let errors = answer.iter().filter(|frame| frame.tag == b'E').count();
        // What the proxy answers by itself.
        let is_local = |frame: &Frame| matches!(frame.tag, b'1' | b'3' | b'E' | b'S');
        let is_unanswered = harmless && answer.iter().all(is_local);
        // The request was lost with its server already.
        let was_lost = house.has_troubles && errors > 1;
        if !(is_unanswered || was_lost) || house.evictions() == self.evictions {
            let why = field(&word.body, b'M');
            house
                .universe
                .violated(|| format!("client {number} must leave in the middle of its work: {why}"));
        }
        Fate::Dismissed
    }

    /// Between two transactions, the client knows what its parameters are.
    fn look_at_name(&self, answer: &[Frame]) {
        let (number, name) = (self.number(), self.ideal.session().get("application_name"));
        let rests = answer.last().is_some_and(|frame| frame.body == *b"I");
        if rests && name != self.told_name && !self.is_untold {
            let told = &self.told_name;
            self.house.universe.violated(|| {
                format!("client {number} was told application_name {told:?}, and it is {name:?}")
            });
        }
    }

    /// Reads up to `ReadyForQuery`, and sends the data of a COPY. `None`: the session is over.
    async fn answer(
        &mut self,
        request: &Request,
        sent: &mut Vec<Frame>,
        answer: &mut Vec<Frame>,
    ) -> Option<()> {
        loop {
            let frame = self.read().await?;
            let tag = frame.tag;
            let fatal = tag == b'E' && field(&frame.body, b'V') == "FATAL";
            answer.push(frame);
            match tag {
                b'Z' => return Some(()),
                _ if fatal => return None,
                b'G' => {
                    let (rows, fails) = request.copy.clone().unwrap_or_default();
                    let mut data: Vec<_> = rows.into_iter().map(|row| Frame::new(b'd', row)).collect();
                    data.push(match fails {
                        true => Frame::new(b'f', texts(&["no"])),
                        false => Frame::new(b'c', []),
                    });
                    if request.frames.len() > 1 {
                        data.push(sync());
                    }
                    self.send(&data).await?;
                    sent.extend(data);
                }
                _ => {}
            }
        }
    }

    async fn send(&mut self, frames: &[Frame]) -> Option<()> {
        let mut out = Vec::new();
        frames.iter().for_each(|frame| frame.put(&mut out));
        self.write(&out).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()
    }

    /// The next message; what it says of a parameter is noted.
    async fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = take(&mut self.bytes) {
                if frame.tag == b'S' {
                    let mut fields = Fields(&frame.body);
                    if fields.text() == "application_name" {
                        self.told_name = fields.text().to_owned();
                    }
                }
                return Some(frame);
            }
            match self.stream.read_buf(&mut self.bytes).await {
                Ok(1..) => {}
                _ => return None,
            }
        }
    }

    /// Leaves in the middle of something.
    async fn walk_out(&mut self, request: &Request) {
        let number = self.number();
        let mut out = Vec::new();
        request.frames.iter().for_each(|frame| frame.put(&mut out));
        let length = match self.author.random.below(2) {
            0 => out.len(),
            _ => self.author.random.below(out.len()),
        };
        self.house
            .universe
            .say(|| format!("client {number} sends {length} bytes of {} and leaves", out.len()));
        self.write(&out[..length]).await;
        let wait = self.author.random.below(3) * 7;
        if wait > 0 {
            sleep(Duration::from_millis(wait as u64)).await;
        }
    }

    async fn say_goodbye(&mut self) {
        self.house.universe.say(|| format!("client {} leaves", self.number()));
        if self.author.random.below(4) == 0 {
            // Whatever it asks for last, it does not wait for.
            self.send(&[query("select 1")]).await;
        }
        if self.author.random.below(4) > 0 {
            self.send(&[Frame::new(b'X', [])]).await;
        }
    }
}

/// A session that ends with no word.
fn closed() -> Frame {
    error("FATAL", "closed", "the connection was closed")
}
