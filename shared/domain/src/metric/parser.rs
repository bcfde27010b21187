//! The grammar of formulas and filters.
//!
//! ```text
//! formula  = term { ("+" | "-") term }
//! term     = factor { ("*" | "/") factor }
//! factor   = "-" factor | number | "(" formula ")" | input
//! input    = function "(" events [ by ] ")" | "avg" "(" "last" "(" events [ by ] ")" [ by ] ")" | events
//! events   = name [ "." path ] [ "{" filter "}" ];  by = "by" path { "," path }
//! function = count | sum | avg | min | max | unique | first | last | gain | p1 … p99
//! filter   = all { "or" all };  all = not { ("and" | ",") not };  not = "not" not | "(" filter ")" | test
//! test     = path [ ("=" | "!=" | "<" | "<=" | ">" | ">=" | "contains") value | [ "not" ] "in" "(" values ")" | "exists" ]
//! value    = text in quotes | number | true | false | a word;  `= null` is `not exists`, and `!= null` is `exists`
//! ```
//!
//! A path on its own in a filter holds where the property is `true`. Names of events, metrics and properties that are not
//! words stand in quotes, and so do properties whose names start with `$`.

use super::{
    filter::{Comparison, Filter, Literal, Test},
    path::{FIELDS, path_of},
    syntax::{Function, InputNode, Name, Node, Operator, SyntaxError},
    token::{Placed, Token, tokens},
};
use crate::{number::Number, text::nfc};

/// Parentheses within parentheses.
pub const DEEPEST: usize = 64;
/// `+`, `-`, `*` and `/` of one formula: each makes the tree deeper, and metrics stand within metrics.
pub const OPERATORS: usize = 100;

/// Reads a formula.
///
/// # Errors
/// Says what was expected where.
pub fn parse_formula(text: &str) -> Result<Node<InputNode>, SyntaxError> {
    let mut parser = Parser::new(text)?;
    let node = parser.formula()?;
    match parser.token() {
        Token::End => Ok(node),
        Token::Sign(")") => Err(parser.error("unbalanced_parentheses", "this `)` closes nothing")),
        _ => Err(parser.expected("`+`, `-`, `*`, `/` or the end")),
    }
}

/// Reads a filter.
///
/// # Errors
/// Says what was expected where.
pub fn parse_filter(text: &str) -> Result<Filter, SyntaxError> {
    let mut parser = Parser::new(text)?;
    let filter = parser.filter()?;
    match parser.token() {
        Token::End => Ok(filter),
        Token::Sign(")") => Err(parser.error("unbalanced_parentheses", "this `)` closes nothing")),
        _ => Err(parser.expected("`and`, `or` or the end")),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
    operators: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Result<Self, SyntaxError> {
        Ok(Self { text, tokens: tokens(text)?, next: 0, depth: 0, operators: 0 })
    }

    fn token(&self) -> &Token {
        &self.tokens[self.next].token
    }

    fn at(&self) -> usize {
        self.tokens[self.next].at
    }

    fn error(&self, code: &'static str, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.at(), code, message)
    }

    fn expected(&self, what: &str) -> SyntaxError {
        self.error("syntax", format!("expected {what}, found {}", self.token().describe()))
    }

    /// The last token is the end, which is never passed.
    fn advance(&mut self) {
        if *self.token() != Token::End {
            self.next += 1;
        }
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.token(), Token::Sign(found) if *found == sign);
        if found {
            self.advance();
        }
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.token(), Token::Word(found) if found.eq_ignore_ascii_case(word));
        if found {
            self.advance();
        }
        found
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.token(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }

    /// Closes what was opened at `opened`.
    fn close(&mut self, sign: &'static str, opened: usize, expected: &str) -> Result<(), SyntaxError> {
        if self.take(sign) {
            return Ok(());
        }
        match self.token() {
            Token::End => {
                let message = format!("what is opened here is never closed by `{sign}`");
                Err(SyntaxError::new(opened, "unbalanced_parentheses", message))
            }
            _ => Err(self.expected(&format!("{expected} or `{sign}`"))),
        }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, SyntaxError>) -> Result<T, SyntaxError> {
        if self.depth == DEEPEST {
            return Err(self.error("too_deep", format!("more than {DEEPEST} parts stand within each other")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Passes an operator.
    fn operate(&mut self) -> Result<(), SyntaxError> {
        if self.operators == OPERATORS {
            return Err(self.error("too_many_operators", format!("more than {OPERATORS} operators in one formula")));
        }
        self.operators += 1;
        self.advance();
        Ok(())
    }

    fn formula(&mut self) -> Result<Node<InputNode>, SyntaxError> {
        let mut node = self.term()?;
        loop {
            let operator = match self.token() {
                Token::Sign("+") => Operator::Add,
                Token::Sign("-") => Operator::Subtract,
                _ => return Ok(node),
            };
            self.operate()?;
            node = Node::Binary(operator, Box::new(node), Box::new(self.term()?));
        }
    }

    fn term(&mut self) -> Result<Node<InputNode>, SyntaxError> {
        let mut node = self.factor()?;
        loop {
            let operator = match self.token() {
                Token::Sign("*") => Operator::Multiply,
                Token::Sign("/") => Operator::Divide,
                _ => return Ok(node),
            };
            self.operate()?;
            let at = self.at();
            let factor = self.factor()?;
            if operator == Operator::Divide && factor.constant() == Some(0.0) {
                return Err(SyntaxError::new(at, "division_by_zero", "this is always 0, and nothing is divided by 0"));
            }
            node = Node::Binary(operator, Box::new(node), Box::new(factor));
        }
    }

    fn factor(&mut self) -> Result<Node<InputNode>, SyntaxError> {
        match self.token().clone() {
            Token::Number(number, _) => {
                self.advance();
                Ok(Node::Number(number))
            }
            Token::Sign("-") => {
                self.advance();
                Ok(Node::Negate(Box::new(self.deeper(Self::factor)?)))
            }
            Token::Sign("(") => {
                let opened = self.at();
                self.advance();
                let node = self.deeper(Self::formula)?;
                self.close(")", opened, "`+`, `-`, `*`, `/`")?;
                Ok(node)
            }
            Token::Word(word) => {
                if !self.is_call() {
                    return Ok(Node::Input(self.input(None)?));
                }
                let Some(function) = Function::parse(&word) else {
                    let message = format!(
                        "`{word}` is no function: there are count, sum, avg, min, max, unique, first, last, gain and p1 to p99"
                    );
                    return Err(self.error("unknown_function", message));
                };
                self.advance();
                Ok(Node::Input(self.call(function)?))
            }
            Token::Quoted(_) => Ok(Node::Input(self.input(None)?)),
            _ => Err(self.expected("a number, a name or `(`")),
        }
    }

    /// Whether this is the name of what is called.
    fn is_call(&self) -> bool {
        let next = self.tokens.get(self.next + 1);
        matches!(self.token(), Token::Word(_)) && matches!(next, Some(Placed { token: Token::Sign("("), .. }))
    }

    /// What stands in the parentheses of a function.
    fn call(&mut self, function: Function) -> Result<InputNode, SyntaxError> {
        let opened = self.at();
        self.advance();
        if self.is_call() {
            if function != Function::Average || !self.is_word("last") {
                let message = "one function stands within another only as avg(last(name.property))";
                return Err(self.error("syntax", message));
            }
            self.advance();
            let last = self.call(Function::Last)?;
            let within = self.by()?;
            self.close(")", opened, if within.is_empty() { "`by`" } else { "`,`" })?;
            return Ok(InputNode { function: Some(Function::MeanLast), within, ..last });
        }
        let mut input = self.input(Some(function))?;
        input.by = self.by()?;
        self.close(")", opened, if input.by.is_empty() { "`{`" } else { "`,`" })?;
        Ok(input)
    }

    /// The properties behind `by`, if it stands here.
    fn by(&mut self) -> Result<Vec<String>, SyntaxError> {
        let mut properties = Vec::new();
        let mut goes_on = self.take_word("by");
        while goes_on {
            properties.push(self.path("a property that tells objects apart")?);
            goes_on = self.take(",");
        }
        Ok(properties)
    }

    fn input(&mut self, function: Option<Function>) -> Result<InputNode, SyntaxError> {
        let at = self.at();
        let (text, quoted) = match self.token() {
            Token::Word(word) => (nfc(word).into_owned(), false),
            Token::Quoted(text) if !text.is_empty() => (nfc(text).into_owned(), true),
            _ => return Err(self.expected("the name of an event or metric")),
        };
        self.advance();
        let property = if self.take(".") { Some(self.path("the name of a property")?) } else { None };
        let filter = match self.at() {
            opened if self.take("{") => {
                let filter = self.filter()?;
                self.close("}", opened, "`,`, `and`, `or`")?;
                Some(filter)
            }
            _ => None,
        };
        Ok(InputNode {
            function,
            name: Name { text, quoted, at },
            property,
            filter,
            by: Vec::new(),
            within: Vec::new(),
        })
    }

    /// Names with dots between them. A word that starts with `$` is a field of the event, and stands alone.
    fn path(&mut self, what: &str) -> Result<String, SyntaxError> {
        if let Token::Word(word) = self.token()
            && word.starts_with('$')
        {
            let word = word.clone();
            if !FIELDS.contains(&word.as_str()) {
                let fields = FIELDS.join(", ");
                let message = format!(
                    "of the event's own fields there are {fields}; a property of this name goes in quotes: \"{word}\""
                );
                return Err(self.error("invalid_name", message));
            }
            self.advance();
            return Ok(word);
        }
        let mut path = String::new();
        loop {
            match self.token() {
                Token::Word(name) => path += name,
                Token::Quoted(name) if !name.is_empty() => path += name,
                _ => return Err(self.expected(what)),
            }
            self.advance();
            if !self.take(".") {
                return Ok(path_of(&nfc(&path)).into_owned());
            }
            path.push('.');
        }
    }

    fn filter(&mut self) -> Result<Filter, SyntaxError> {
        self.deeper(|parser| {
            let mut any = vec![parser.all()?];
            while parser.take_word("or") {
                any.push(parser.all()?);
            }
            Ok(if any.len() == 1 { any.remove(0) } else { Filter::Any(any) })
        })
    }

    fn all(&mut self) -> Result<Filter, SyntaxError> {
        let mut all = vec![self.not()?];
        while self.take(",") || self.take_word("and") {
            all.push(self.not()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Filter::All(all) })
    }

    fn not(&mut self) -> Result<Filter, SyntaxError> {
        if self.take_word("not") {
            return Ok(Filter::Not(Box::new(self.deeper(Self::not)?)));
        }
        let opened = self.at();
        if self.take("(") {
            let filter = self.filter()?;
            self.close(")", opened, "`and`, `or`")?;
            return Ok(filter);
        }
        self.test()
    }

    fn test(&mut self) -> Result<Filter, SyntaxError> {
        let path = self.path("a property's name, `not` or `(`")?;
        let comparison = match self.token() {
            Token::Sign("<") => Some(Comparison::Less),
            Token::Sign("<=") => Some(Comparison::LessOrEqual),
            Token::Sign(">") => Some(Comparison::Greater),
            Token::Sign(">=") => Some(Comparison::GreaterOrEqual),
            _ => None,
        };
        if let Some(comparison) = comparison {
            self.advance();
            let at = self.at();
            let value = self.literal()?;
            if let Literal::Flag(_) = value {
                return Err(SyntaxError::new(at, "syntax", "true and false have no order: compare with = or !="));
            }
            return Ok(Filter::Test { path, test: Test::Compare(comparison, value) });
        }
        if self.take("=") {
            if self.take_word("null") {
                return Ok(Filter::Not(Box::new(Filter::Test { path, test: Test::Exists })));
            }
            return Ok(Filter::Test { path, test: Test::In(vec![self.literal()?]) });
        }
        if self.take("!=") {
            if self.take_word("null") {
                return Ok(Filter::Test { path, test: Test::Exists });
            }
            let test = Test::In(vec![self.literal()?]);
            return Ok(Filter::Not(Box::new(Filter::Test { path, test })));
        }
        if self.take_word("contains") {
            let at = self.at();
            let Literal::Text(text) = self.literal()? else {
                return Err(SyntaxError::new(at, "syntax", "contains looks for text: put it in quotes"));
            };
            return Ok(Filter::Test { path, test: Test::Contains(text) });
        }
        if self.take_word("exists") {
            return Ok(Filter::Test { path, test: Test::Exists });
        }
        if self.is_word("not") {
            self.advance();
            if !self.is_word("in") {
                return Err(self.expected("`in`"));
            }
            let test = self.set()?;
            return Ok(Filter::Not(Box::new(Filter::Test { path, test })));
        }
        if self.is_word("in") {
            let test = self.set()?;
            return Ok(Filter::Test { path, test });
        }
        match self.token() {
            Token::End | Token::Sign(")" | "}" | ",") => {}
            _ if self.is_word("and") || self.is_word("or") => {}
            _ => return Err(self.expected("`=`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `contains` or `exists`")),
        }
        Ok(Filter::Test { path, test: Test::In(vec![Literal::Flag(true)]) })
    }

    /// `in (a, b)`.
    fn set(&mut self) -> Result<Test, SyntaxError> {
        self.advance();
        let opened = self.at();
        let close = match (self.take("("), self.take("[")) {
            (true, _) => ")",
            (_, true) => "]",
            _ => return Err(self.expected("`(`")),
        };
        let mut values = vec![self.literal()?];
        while self.take(",") {
            values.push(self.literal()?);
        }
        self.close(close, opened, "`,`")?;
        Ok(Test::In(values))
    }

    fn literal(&mut self) -> Result<Literal, SyntaxError> {
        let start = self.at();
        let minus = self.take("-");
        let literal = match self.token() {
            Token::Number(number, text) => {
                if text.len() > 1 && text.starts_with('0') && text.as_bytes()[1].is_ascii_digit() {
                    let digits = text.trim_start_matches('0');
                    let number = if digits.is_empty() { "0" } else { digits };
                    let message = format!("write {number} for the number, or \"{text}\" for the text");
                    return Err(self.error("invalid_number", message));
                }
                let sign = if minus { "-" } else { "" };
                // `.5` and `5.` are no JSON.
                let number = Number::parse(&format!("{sign}{text}"))
                    .or_else(|| Number::from_f64(if minus { -number } else { *number }));
                Literal::Number(number.ok_or_else(|| self.expected("a number"))?)
            }
            _ if minus => return Err(self.expected("a number")),
            Token::Quoted(text) => Literal::Text(nfc(text).into_owned()),
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Literal::Flag(true),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Literal::Flag(false),
            Token::Word(word) if word.eq_ignore_ascii_case("null") => {
                return Err(
                    self.error("syntax", "null is no value: write `= null` or `exists`, or \"null\" for the text")
                );
            }
            Token::Word(word) => Literal::Text(nfc(word).into_owned()),
            _ => return Err(self.expected("a value: text in quotes, a number, true or false")),
        };
        let is_quoted = matches!(self.token(), Token::Quoted(_));
        self.advance();
        if !is_quoted {
            self.refuse_rest_of_word(start)?;
        }
        Ok(literal)
    }

    /// A value such as `g-7` or `2026-11-24` was meant as one text.
    fn refuse_rest_of_word(&self, start: usize) -> Result<(), SyntaxError> {
        let is_rest =
            matches!(self.token(), Token::Sign("-" | "+" | "*" | "/" | ".") | Token::Number(..) | Token::Word(_));
        let word: String = self
            .text
            .chars()
            .skip(start)
            .take_while(|character| !character.is_whitespace() && !"()[]{},\"'`<>=!".contains(*character))
            .collect();
        if !is_rest || self.at() >= start + word.chars().count() {
            return Ok(());
        }
        Err(SyntaxError::new(start, "syntax", format!("put it in quotes: \"{word}\"")))
    }
}
