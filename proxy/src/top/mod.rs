//! `pgstrata top`: what tenants do now, in a terminal.
//!
//! It asks the console, as psql would, and only reads. What it shows is the difference between two answers; the first, and
//! the only one of `--once`, is since the start of the proxy.
//!
//! # Layout
//! - [`source`]: the console's answers. [`password`], [`tls`]: how it is asked.
//! - [`picture`]: what was answered, and what is new in it. [`view`]: a picture in so many columns and lines.
//! - [`live`]: the terminal and its keys.

mod live;
mod password;
mod picture;
mod source;
mod tls;
mod view;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::picture::Picture;
use self::source::Source;
use self::view::Screen;
use crate::terminal;

/// The size of a frame that is printed, where there is no terminal to ask.
const COLUMNS: u16 = 120;
/// See [`COLUMNS`].
const LINES: u16 = 40;

/// Which console, and how often.
#[derive(Debug, clap::Args)]
#[command(after_help = "Keys: 1 all, 2 tenants, 3 statements, 4 clients, p pause, q quit.\n\n\
                        The password is taken from the URL, PGPASSWORD, PGPASSFILE or ~/.pgpass; sslmode and sslrootcert \
                        from the URL, PGSSLMODE and PGSSLROOTCERT. NO_COLOR is heeded.")]
pub struct Args {
    /// The console, for a user with `stats` or `admin`: postgresql://USER@HOST:PORT/pgstrata.
    #[arg(long, env = "PGSTRATA_CONSOLE_URL", hide_env_values = true, default_value = source::HERE)]
    url: String,
    /// Asks again after so many seconds.
    #[arg(long, default_value_t = 2, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=3600))]
    interval: u16,
    /// Prints one frame as plain text, and ends.
    #[arg(long)]
    once: bool,
}

/// Shows it until the user has seen enough. The error is one line for the one who asked.
pub fn run(args: &Args) -> Result<(), String> {
    let source = Source::new(&args.url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    match args.once {
        true => {
            let answers = runtime.block_on(source.ask_once())?;
            terminal::out(format_args!("{}", plain(&Picture::first(answers), source.place())))
                .map_err(|error| error.to_string())
        }
        false => runtime.block_on(live::run(source, Duration::from_secs(args.interval.into()))),
    }
}

/// A frame with no colours, and no blanks at the ends of its lines.
fn plain(picture: &Picture, place: &str) -> String {
    let number = |name: &str, default: u16, least: u16| {
        std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default).clamp(least, 500)
    };
    let area = Rect::new(0, 0, number("COLUMNS", COLUMNS, 20), number("LINES", LINES, 5));
    let mut buffer = Buffer::empty(area);
    let screen = Screen { picture: Some(picture), place, colours: false, ..Screen::default() };
    screen.draw(area, &mut buffer);
    let line = |y: u16| {
        let line: String = (0..area.width).filter_map(|x| Some(buffer.cell((x, y))?.symbol())).collect();
        line.trim_end().to_owned() + "\n"
    };
    let text: String = (0..area.height).map(line).collect();
    text.trim_end().to_owned() + "\n"
}
