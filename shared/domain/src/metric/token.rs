//! The words and signs of formulas and filters.

use super::syntax::SyntaxError;

/// Characters of one formula or filter.
pub const LONGEST: usize = 4_000;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Its value, and the text as it stands.
    Number(f64, String),
    /// A name as it stands: letters of any script, digits, `_`, and `$` at the start.
    Word(String),
    /// A name or text in quotes.
    Quoted(String),
    Sign(&'static str),
    End,
}

impl Token {
    /// For messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Number(_, text) => format!("the number {text}"),
            Self::Word(word) => format!("`{word}`"),
            Self::Quoted(text) => format!("\"{text}\""),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// A token and where it starts, in characters.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub token: Token,
    pub at: usize,
}

/// Longer signs first.
const SIGNS: [&str; 19] =
    ["!=", "<=", ">=", "==", "<", ">", "=", "(", ")", "{", "}", "[", "]", ",", ".", "+", "-", "*", "/"];

/// Takes a text apart.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, SyntaxError> {
    let characters: Vec<char> = text.chars().take(LONGEST + 1).collect();
    if characters.len() > LONGEST {
        return Err(SyntaxError::new(LONGEST, "too_long", format!("has more than {LONGEST} characters")));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&character) = characters.get(at) {
        let rest = &characters[at..];
        let (token, length) = match character {
            _ if character.is_whitespace() => {
                at += 1;
                continue;
            }
            '"' | '\'' | '`' => quoted(rest, at)?,
            '0'..='9' => number(rest, at)?,
            '.' if rest.get(1).is_some_and(char::is_ascii_digit) && !follows_name(&tokens, at) => number(rest, at)?,
            _ if is_name(character) || character == '$' => {
                let length = 1 + rest[1..].iter().take_while(|character| is_name(**character)).count();
                (Token::Word(rest[..length].iter().collect()), length)
            }
            _ => match SIGNS.iter().find(|sign| sign.chars().eq(rest.iter().copied().take(sign.len()))) {
                Some(&"==") => (Token::Sign("="), 2),
                Some(sign) => (Token::Sign(sign), sign.len()),
                None => {
                    let message = format!("`{character}` means nothing here: text that holds it goes in quotes");
                    return Err(SyntaxError::new(at, "unexpected_character", message));
                }
            },
        };
        tokens.push(Placed { token, at });
        at += length;
    }
    tokens.push(Placed { token: Token::End, at });
    Ok(tokens)
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether what starts here goes on with a name before it, so that `.5` is a part of a path.
fn follows_name(tokens: &[Placed], at: usize) -> bool {
    tokens.last().is_some_and(|last| match &last.token {
        Token::Word(word) => last.at + word.chars().count() == at,
        Token::Quoted(_) => true,
        _ => false,
    })
}

/// A quote within is written twice, or behind a backslash.
fn quoted(rest: &[char], at: usize) -> Result<(Token, usize), SyntaxError> {
    let quote = rest[0];
    let mut text = String::new();
    let mut index = 1;
    loop {
        match (rest.get(index), rest.get(index + 1)) {
            (Some('\\'), Some(&next)) if next == quote || next == '\\' => {
                text.push(next);
                index += 2;
            }
            (Some(&character), Some(&next)) if character == quote && next == quote => {
                text.push(quote);
                index += 2;
            }
            (Some(&character), _) if character == quote => return Ok((Token::Quoted(text), index + 1)),
            (Some(&character), _) => {
                text.push(character);
                index += 1;
            }
            (None, _) => {
                return Err(SyntaxError::new(at, "unbalanced_quotes", format!("this {quote} is never closed")));
            }
        }
    }
}

fn number(rest: &[char], at: usize) -> Result<(Token, usize), SyntaxError> {
    let mut length = 0;
    while let Some(&character) = rest.get(length) {
        let is_exponent = matches!(character, 'e' | 'E')
            && match (rest.get(length + 1), rest.get(length + 2)) {
                (Some('+' | '-'), Some(digit)) => digit.is_ascii_digit(),
                (Some(digit), _) => digit.is_ascii_digit(),
                _ => false,
            };
        let is_sign = matches!(character, '+' | '-') && length > 0 && matches!(rest[length - 1], 'e' | 'E');
        if !(character.is_ascii_digit() || character == '.' || is_exponent || is_sign) {
            break;
        }
        length += 1;
    }
    let text: String = rest[..length].iter().collect();
    let followed_by_name = rest.get(length).is_some_and(|character| is_name(*character));
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && !followed_by_name => Ok((Token::Number(number, text), length)),
        _ => {
            let length = length + rest[length..].iter().take_while(|character| is_name(**character)).count();
            let text: String = rest[..length].iter().collect();
            let message = format!("`{text}` is no number; a name or text that starts with a digit goes in quotes");
            Err(SyntaxError::new(at, "invalid_number", message))
        }
    }
}
