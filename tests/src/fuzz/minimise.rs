//! The least of a session that still fails.

use std::time::{Duration, Instant};

use super::compose::Text;
use super::drive::{Tally, Wrong, session};
use super::mutate::tokens;
use super::world::World;

/// How long it is tried to get to less.
const TIME: Duration = Duration::from_secs(40);

/// What is left of a session, and what is wrong with it. `None` if it doesn't fail by itself.
pub async fn minimised(world: &mut World, texts: &[Text]) -> Option<(Vec<Text>, Wrong)> {
    let mut wrong = fails(world, texts).await?;
    let mut least = texts.to_vec();
    let until = Instant::now() + TIME;
    for cut in [texts_cut, parts_cut, tokens_cut] {
        let mut chunk = usize::MAX;
        while chunk > 0 && Instant::now() < until {
            let (shorter, largest) = cut(&least, chunk);
            chunk = chunk.min(largest);
            let mut found = None;
            for candidate in shorter {
                if Instant::now() > until {
                    break;
                }
                if let Some(same) = fails(world, &candidate).await {
                    found = Some((candidate, same));
                    break;
                }
            }
            match found {
                Some((candidate, same)) => (least, wrong) = (candidate, same),
                None => chunk /= 2,
            }
        }
    }
    Some((least, wrong))
}

/// On a world that is as it was at the beginning.
async fn fails(world: &mut World, texts: &[Text]) -> Option<Wrong> {
    world.close_servers().await;
    world.restore().await;
    session(world, texts, &mut Tally::default()).await.err()
}

/// The sessions without `chunk` texts in a row, and how large a chunk makes sense.
fn texts_cut(texts: &[Text], chunk: usize) -> (Vec<Vec<Text>>, usize) {
    (without(texts, chunk), texts.len() / 2)
}

fn parts_cut(texts: &[Text], chunk: usize) -> (Vec<Vec<Text>>, usize) {
    let largest = texts.iter().map(|text| text.parts.len()).max().unwrap_or_default() / 2;
    let cut = |text: &Text| {
        let cut = without(&text.parts, chunk.min(largest));
        cut.into_iter().map(|parts| Text { form: text.form, parts }).collect()
    };
    (each(texts, cut), largest)
}

fn tokens_cut(texts: &[Text], chunk: usize) -> (Vec<Vec<Text>>, usize) {
    let parts = || texts.iter().flat_map(|text| &text.parts);
    let largest = parts().map(|part| tokens(part).len()).max().unwrap_or_default() / 2;
    let cut = |text: &Text| {
        let mut out = Vec::new();
        for (i, part) in text.parts.iter().enumerate() {
            for tokens in without(&tokens(part), chunk.min(largest)) {
                let mut parts = text.parts.clone();
                parts[i] = tokens.join(" ");
                out.push(Text { form: text.form, parts });
            }
        }
        out
    };
    (each(texts, cut), largest)
}

/// The sessions in which one text gives way to one of those that are made of it.
fn each(texts: &[Text], cut: impl Fn(&Text) -> Vec<Text>) -> Vec<Vec<Text>> {
    let mut out = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        for shorter in cut(text) {
            let mut session = texts.to_vec();
            session[i] = shorter;
            out.push(session);
        }
    }
    out
}

/// The lists without `chunk` in a row.
fn without<T: Clone>(list: &[T], chunk: usize) -> Vec<Vec<T>> {
    let chunk = chunk.min(list.len() / 2);
    if chunk == 0 {
        return Vec::new();
    }
    let starts = (0..list.len()).step_by(chunk);
    starts.map(|start| [&list[..start], &list[(start + chunk).min(list.len())..]].concat()).collect()
}
