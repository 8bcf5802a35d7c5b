//! What can be wrong with a template, as sentences that say what to mend.

use std::path::PathBuf;

/// Why a template could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file is not there or not readable.
    #[error("{path} cannot be read ({reason}): start from the folder of the project", path = .path.display())]
    Unreadable {
        /// The file asked for.
        path: PathBuf,
        /// The operating system's words.
        reason: String,
    },
    /// The text is no YAML, or not the YAML that CloudFormation knows.
    #[error("the template is not valid YAML: {reason}")]
    NotYaml {
        /// The parser's words, with line and column.
        reason: String,
    },
    /// A part of the document has the wrong shape.
    #[error("{place}: {what}")]
    Broken {
        /// Where: the logical id and the path of properties below it.
        place: String,
        /// What is wrong and what to write instead.
        what: String,
    },
    /// An intrinsic function could not be resolved.
    #[error("{place}: {source}")]
    Unresolved {
        /// Where: the logical id and the path of properties below it.
        place: String,
        /// Which intrinsic, and why.
        source: ResolveError,
    },
}

impl TemplateError {
    pub(crate) fn broken(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Broken {
            place: place.into(),
            what: what.into(),
        }
    }
}

/// Why an intrinsic function has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// `Ref` or `${…}` names neither a parameter nor a resource.
    #[error("Ref names {0}, which is neither a parameter nor a resource of the template")]
    UnknownReference(String),
    /// `Fn::GetAtt` asks for an attribute that is not known here.
    #[error("GetAtt {resource}.{attribute} is not known: the resource lacks it, or is not there")]
    UnknownAttribute {
        /// Logical id.
        resource: String,
        /// Name of the attribute.
        attribute: String,
    },
    /// A condition that `Conditions` does not define.
    #[error("the condition {0} is not defined under Conditions")]
    UnknownCondition(String),
    /// A condition that refers to itself.
    #[error("the condition {0} refers to itself")]
    CircularCondition(String),
    /// An intrinsic with arguments of the wrong shape.
    #[error("{intrinsic} is written wrongly: {expected}")]
    Malformed {
        /// Long name of the intrinsic.
        intrinsic: String,
        /// What it takes.
        expected: String,
    },
    /// An intrinsic this reader does not evaluate.
    #[error("{0} is not supported outside AWS: write the value without it")]
    Unsupported(String),
    /// A value that should have been one piece of text.
    #[error("the value is a list or a map where text is needed")]
    NotText,
}
