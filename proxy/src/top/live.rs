//! The terminal and its keys.

use std::io::{IsTerminal, stdin, stdout};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until};

use super::picture::Picture;
use super::source::{Answers, Source};
use super::view::{Part, Screen};

/// An answer that took long is asked for less often: the console is to have so many times the rest.
const REST: u32 = 10;

/// What the user sees.
#[derive(Default)]
struct State {
    picture: Option<Picture>,
    trouble: Option<String>,
    paused: bool,
    part: Part,
}

/// What a key asks for.
enum Wish {
    Quit,
    Redraw,
}

/// Shows it until the user has seen enough. The error: there is no terminal.
pub async fn run(source: Source, interval: Duration) -> Result<(), String> {
    if !stdout().is_terminal() || !stdin().is_terminal() {
        return Err("standard input and output must be a terminal: --once prints one frame".into());
    }
    let told = |error: std::io::Error| format!("can't use the terminal: {error}");
    let mut ends = Ends::new().map_err(told)?;
    let mut terminal = ratatui::try_init().map_err(told)?;
    let shown = select! {
        shown = show(&mut terminal, source, interval) => shown.map_err(told),
        () = ends.come() => Ok(()),
    };
    // Where the terminal is gone, there is nobody to tell.
    let _ = ratatui::try_restore();
    shown
}

/// The signals that end it, so that the terminal is left as it was.
struct Ends([Signal; 4]);

impl Ends {
    fn new() -> std::io::Result<Self> {
        let [hangup, interrupt, quit, terminate] =
            [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()]
                .map(signal);
        Ok(Self([hangup?, interrupt?, quit?, terminate?]))
    }

    /// One of them has come.
    async fn come(&mut self) {
        let Self([hangup, interrupt, quit, terminate]) = self;
        select! {
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
            _ = quit.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

async fn show(terminal: &mut DefaultTerminal, source: Source, interval: Duration) -> std::io::Result<()> {
    let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (mut keys, mut state) = (keys(), State::default());
    let place = source.place().to_owned();
    let (ask, mut answers) = asker(source);
    // When to ask next; since when an answer is due.
    let (mut next, mut asked) = (Instant::now(), None::<Instant>);
    loop {
        let screen = Screen {
            picture: state.picture.as_ref(),
            place: &place,
            trouble: state.trouble.as_deref(),
            paused: state.paused,
            colours,
            part: state.part,
        };
        terminal.draw(|frame| screen.draw(frame.area(), frame.buffer_mut()))?;
        select! {
            () = sleep_until(next), if asked.is_none() && !state.paused => {
                asked = ask.try_send(()).is_ok().then(Instant::now);
                next = Instant::now() + interval;
            }
            Some(answer) = answers.recv() => {
                let took = asked.take().map(|begun| begun.elapsed()).unwrap_or_default();
                next = Instant::now() + interval.max(took * REST);
                state.take(answer);
            }
            event = keys.recv() => match event.map(|event| state.heed(&event)) {
                Some(Wish::Redraw) => {}
                Some(Wish::Quit) | None => return Ok(()),
            },
        }
    }
}

/// Asks whenever it is told to, in a task of its own: no key breaks a question off, and with it the connection.
fn asker(mut source: Source) -> (Sender<()>, Receiver<Result<Answers, String>>) {
    let (ask, mut asked) = channel(1);
    let (answer, answers) = channel(1);
    tokio::spawn(async move {
        while asked.recv().await.is_some() {
            if answer.send(source.ask().await).await.is_err() {
                return;
            }
        }
    });
    (ask, answers)
}

/// What the user types, and when the size changes. Its thread ends with the process.
fn keys() -> Receiver<Event> {
    let (sender, receiver) = channel(16);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    });
    receiver
}

impl State {
    fn take(&mut self, answers: Result<Answers, String>) {
        match answers {
            // It was asked for before.
            Ok(_) if self.paused => {}
            Ok(answers) => {
                self.picture = Some(Picture::of(answers, self.picture.as_ref()));
                self.trouble = None;
            }
            Err(error) => self.trouble = Some(format!("No answer: {error}. Trying again.")),
        }
    }

    fn heed(&mut self, event: &Event) -> Wish {
        let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else {
            return Wish::Redraw;
        };
        match code {
            KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => return Wish::Quit,
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Quit,
            KeyCode::Char('p') => self.paused = !self.paused,
            KeyCode::Char('1') => self.part = Part::All,
            KeyCode::Char('2') => self.part = Part::Tenants,
            KeyCode::Char('3') => self.part = Part::Statements,
            KeyCode::Char('4') => self.part = Part::Clients,
            _ => {}
        }
        Wish::Redraw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode) -> Event {
        Event::Key(KeyEvent::from(code))
    }

    #[test]
    fn keys_do_what_the_help_says() {
        let mut state = State::default();
        for (letter, part) in
            [('2', Part::Tenants), ('3', Part::Statements), ('4', Part::Clients), ('1', Part::All)]
        {
            assert!(matches!(state.heed(&key(KeyCode::Char(letter))), Wish::Redraw));
            assert_eq!(state.part, part);
        }
        state.heed(&key(KeyCode::Char('p')));
        assert!(state.paused);
        state.heed(&key(KeyCode::Char('p')));
        assert!(!state.paused);
        let control_c = Event::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
        for event in [key(KeyCode::Char('q')), key(KeyCode::Esc), control_c] {
            assert!(matches!(state.heed(&event), Wish::Quit));
        }
    }

    #[test]
    fn last_picture_stays_while_there_is_no_answer() {
        let mut state = State::default();
        state.take(Ok(Answers::default()));
        state.take(Err("gone".into()));
        assert!(
            state.picture.is_some() && state.trouble.as_deref() == Some("No answer: gone. Trying again.")
        );
        state.take(Ok(Answers::default()));
        assert_eq!(state.trouble, None);
    }
}
