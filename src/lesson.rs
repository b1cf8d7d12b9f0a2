//! The walkthrough's page, read as a lesson: parts with prose, lines for a shell by hand, and commands of
//! ours to run. Pure.
//!
//! The page in docs/ is the one source: the tests run its commands and compare what they say, and
//! `learn` runs them before the reader's eyes.

/// The page.
pub(crate) const PAGE: &str = include_str!("../docs/walkthrough.md");

/// A part of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// Its heading.
    pub(crate) title: &'a str,
    pub(crate) blocks: Vec<Block<'a>>,
}

/// What stands in a part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Block<'a> {
    /// A paragraph, on one line.
    Prose(String),
    /// How it is done without us.
    ByHand(Vec<&'a str>),
    /// The words behind `$ uswitch`, a command each.
    Commands(Vec<&'a str>),
}

/// The prompt before a command of ours.
const COMMAND: &str = "$ uswitch ";

/// What the page says of itself, in quoted lines: the lesson goes without it.
const ASIDE: &str = "> ";

/// The parts of a page.
pub(crate) fn parts(page: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let mut lines = page.lines();
    let mut prose: Vec<&str> = Vec::new();
    while let Some(line) = lines.next() {
        let fence = line.strip_prefix("```");
        let title = line.strip_prefix("## ").or_else(|| line.strip_prefix("# "));
        if (fence.is_some() || title.is_some() || line.is_empty())
            && !prose.is_empty()
            && let Some(part) = parts.last_mut()
        {
            part.blocks.push(Block::Prose(std::mem::take(&mut prose).join(" ")));
        }
        if let Some(title) = title {
            parts.push(Part { title, blocks: Vec::new() });
        } else if let Some(kind) = fence {
            let inside: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            let block = if kind == "console" {
                let command = |line: &&'_ str| line.strip_prefix(COMMAND).map(str::len);
                let own = inside.iter().filter(|line| command(line).is_some());
                Block::Commands(own.map(|line| &line[COMMAND.len()..]).collect())
            } else {
                Block::ByHand(inside)
            };
            parts.extend(parts.is_empty().then(Part::default));
            if let Some(part) = parts.last_mut() {
                part.blocks.push(block);
            }
        } else if !line.is_empty() && !line.starts_with(ASIDE) {
            prose.push(line);
        }
    }
    if let Some(part) = parts.last_mut()
        && !prose.is_empty()
    {
        part.blocks.push(Block::Prose(prose.join(" ")));
    }
    parts
}

/// The words of a line that somebody has typed: parted by blanks, but for what stands in quotes.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut quote, mut inside) = (None, false);
    for letter in line.chars() {
        match quote {
            Some(open) if letter == open => quote = None,
            None if letter == '\'' || letter == '"' => {
                quote = Some(letter);
                words.extend((!inside).then(String::new));
                inside = true;
            }
            None if letter.is_whitespace() => inside = false,
            _ => {
                words.extend((!inside).then(String::new));
                inside = true;
                words.last_mut().into_iter().for_each(|word| word.push(letter));
            }
        }
    }
    words
}

/// Words on lines of so many columns.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if width + 1 + length <= columns => {
                line.push(' ');
                line.push_str(word);
                width += 1 + length;
            }
            _ => {
                lines.push(word.to_owned());
                width = length;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_parts_of_prose_and_blocks() {
        let page = "# Title\n\nOne\ntwo.\n\n> This page.\n\n## Part\n\nBy hand:\n\n```sh\nip link\n```\n\nOurs:\n\n\
                    ```console\n$ uswitch up pair\nbuilt\n$ uswitch down\ngone\n```\n\nEnd.\n";
        let prose = |text: &str| Block::Prose(text.into());
        assert_eq!(
            parts(page),
            [
                Part { title: "Title", blocks: vec![prose("One two.")] },
                Part {
                    title: "Part",
                    blocks: vec![
                        prose("By hand:"),
                        Block::ByHand(vec!["ip link"]),
                        prose("Ours:"),
                        Block::Commands(vec!["up pair", "down"]),
                        prose("End."),
                    ],
                },
            ]
        );
    }

    #[test]
    fn what_is_typed_is_parted_by_blanks_outside_of_quotes() {
        assert_eq!(words("  trace 'net1 and icmp'  -c 2\n"), ["trace", "net1 and icmp", "-c", "2"]);
        assert_eq!(
            words("exec net1 -- sh -c \"echo 'a b'\"''"),
            ["exec", "net1", "--", "sh", "-c", "echo 'a b'"]
        );
        assert_eq!(words("a '' \"b"), ["a", "", "b"]);
        assert!(words(" \n").is_empty());
    }

    #[test]
    fn the_page_ends_with_nothing_running() {
        let parts = parts(PAGE);
        assert!(parts.len() > 5);
        let blocks = parts.iter().flat_map(|part| &part.blocks);
        let commands: Vec<_> = blocks
            .filter_map(|block| match block {
                Block::Commands(commands) => Some(commands.as_slice()),
                _ => None,
            })
            .flatten()
            .collect();
        let count =
            |verb: &str| commands.iter().filter(|c| c.split(' ').next() == Some(verb)).count();
        assert_eq!(count("up"), count("down"));
        assert_eq!(commands.last(), Some(&&"down"));
        // Words are parted by blanks alone.
        assert!(commands.iter().all(|command| !command.contains(['"', '\'', '\\', '|'])));
    }

    #[test]
    fn words_are_not_cut() {
        assert_eq!(wrapped("a switch joins them", 9), ["a switch", "joins", "them"]);
        assert_eq!(wrapped("extraordinary", 4), ["extraordinary"]);
    }
}
