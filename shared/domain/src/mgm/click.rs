//! Who opened a link: a person, a known bot, or a browser that only looks ahead.

/// How long the same visitor of a link counts once, in milliseconds.
pub const SAME_VISIT_MS: i64 = 30 * 60 * 1000;

/// Who opened a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClickKind {
    /// Somebody clicked.
    Person,
    /// A crawler or the preview of a messenger.
    Bot,
    /// A HEAD request, or a browser that fetches before anybody clicks.
    Preview,
}

/// What a request says about who makes it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Whether the method is HEAD.
    pub head: bool,
    /// `User-Agent`.
    pub user_agent: &'a str,
    /// `Sec-Purpose`, `Purpose` or `X-Moz`, whichever is there.
    pub purpose: &'a str,
}

/// Parts of the user agents of crawlers and of messengers that preview a link, in small letters.
/// Most name themselves bot, crawler or spider; the rest is listed as their makers document them.
/// Apps whose browsers carry people (Instagram, FBAV, Pinterest/iOS) are not here, and neither are
/// tools such as curl: whoever uses one is a person.
const BOTS: [&str; 26] = [
    "bot/",
    "bot;",
    "bot)",
    "bot ",
    "bot-",
    "crawler",
    "spider",
    "slurp",
    "facebookexternalhit",
    "facebookcatalog",
    "meta-externalagent",
    "whatsapp/",
    "skypeuripreview",
    "embedly",
    "bingpreview",
    "google-inspectiontool",
    "googleother",
    "feedfetcher",
    "mediapartners-google",
    "apis-google",
    "bitlybot",
    "nuzzel",
    "vkshare",
    "w3c_validator",
    "headlesschrome",
    "lighthouse",
];

impl ClickKind {
    /// Tells them apart by what the request says of itself.
    #[must_use]
    pub fn of(request: Request<'_>) -> Self {
        let agent = request.user_agent.to_ascii_lowercase();
        // Cubot is a maker of telephones.
        let names_itself = agent.ends_with("bot") && !agent.ends_with("cubot");
        let named = BOTS
            .iter()
            .any(|part| agent.replace("cubot", "").contains(part));
        if names_itself || named {
            return Self::Bot;
        }
        let purpose = request.purpose.to_ascii_lowercase();
        let ahead = ["prefetch", "prerender", "preview"]
            .iter()
            .any(|word| purpose.contains(word));
        if request.head || ahead {
            Self::Preview
        } else {
            Self::Person
        }
    }

    /// Its name in the database and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "pessoa",
            Self::Bot => "robo",
            Self::Preview => "previa",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(user_agent: &str) -> ClickKind {
        ClickKind::of(Request {
            user_agent,
            ..Request::default()
        })
    }

    #[test]
    fn crawlers_and_previews_of_messengers_are_bots() {
        for agent in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "WhatsApp/2.23.20.0 A",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "TelegramBot (like TwitterBot)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "Twitterbot/1.0",
            "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
            "Mozilla/5.0 (compatible; Baiduspider/2.0)",
            "examplebot",
        ] {
            assert_eq!(kind(agent), ClickKind::Bot, "{agent}");
        }
    }

    #[test]
    fn browsers_apps_and_tools_are_people() {
        for agent in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36",
            "Mozilla/5.0 (Linux; Android 13; CUBOT KINGKONG 9) AppleWebKit/537.36 Chrome/130.0",
            "Mozilla/5.0 (Linux; Android 9; CUBOT) AppleWebKit/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Instagram 350.0.0.0",
            "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 [FBAN/FBIOS;FBAV/480.0.0.0]",
            "curl/8.5.0",
            "",
        ] {
            assert_eq!(kind(agent), ClickKind::Person, "{agent}");
        }
    }

    #[test]
    fn looking_ahead_is_no_click() {
        for purpose in ["prefetch", "prefetch;prerender", "preview", "Prefetch"] {
            let request = Request {
                purpose,
                ..Request::default()
            };
            assert_eq!(ClickKind::of(request), ClickKind::Preview, "{purpose}");
        }
        let head = Request {
            head: true,
            ..Request::default()
        };
        assert_eq!(ClickKind::of(head), ClickKind::Preview);
    }
}
