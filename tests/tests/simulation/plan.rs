//! What happens in the shop, drawn from a seed.

use testkit::Random;

pub const FRIENDS: usize = 3;
pub const PROMOTERS: usize = 2;

/// An order as the company will tell it.
#[derive(Debug, Clone)]
pub struct Order {
    pub id: String,
    pub friend: String,
    /// Whose link it came through, if any.
    pub promoter: Option<String>,
    /// Through a link of the campaign that gives its coupon on arrival.
    pub arrival: bool,
    pub legs: u8,
    /// Whether the trip's end, if it is told, has passed.
    pub ended: Option<bool>,
}

/// What is told of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    Purchase,
    Cancellation,
    Refund,
    Leg(u8),
}

/// One thing that happens; numbers are places in [`Plan::orders`].
#[derive(Debug, Clone)]
pub enum Act {
    Tell(usize, Fact),
    /// The last message of the queue of purchases (true) or trips comes again.
    TellAgain(bool),
    Poison(bool),
    Work(bool),
    Click {
        promoter: usize,
        arrival: bool,
        visitor: usize,
    },
    Reserve(usize),
    Commit(usize),
    Release(usize),
    Sweep,
    Publish,
}

#[derive(Debug)]
pub struct Plan {
    pub orders: Vec<Order>,
    pub acts: Vec<Act>,
    /// The budget suffices for two referrals: then the order in which customers come counts.
    pub is_tight: bool,
    /// Weeks pass before the end, so that what nobody used expires.
    pub ends_late: bool,
}

/// Friends first, then promoters.
pub fn owner(number: usize) -> String {
    match number.checked_sub(FRIENDS) {
        None => friend(number),
        Some(number) => promoter(number),
    }
}

pub fn promoter(number: usize) -> String {
    format!("promoter{number}")
}

pub fn friend(number: usize) -> String {
    format!("friend{number}")
}

impl Plan {
    pub fn draw(random: &mut Random) -> Self {
        let count = 2 + random.below(4);
        let orders: Vec<Order> = (0..count).map(|place| order(place, random)).collect();
        let mut acts = Vec::new();
        for (place, order) in orders.iter().enumerate() {
            let mut facts = vec![Fact::Purchase];
            facts.extend(
                (1..=order.legs)
                    .filter(|_| random.percent(70))
                    .map(Fact::Leg),
            );
            if random.percent(30) {
                facts.push([Fact::Cancellation, Fact::Refund][random.below(2)]);
            }
            acts.extend(facts.into_iter().map(|fact| Act::Tell(place, fact)));
        }
        for _ in 0..3 + random.below(7) {
            acts.push(other_act(random));
        }
        shuffle(&mut acts, random);
        Self {
            orders,
            acts,
            is_tight: random.percent(15),
            ends_late: random.percent(25),
        }
    }
}

fn order(place: usize, random: &mut Random) -> Order {
    let through = random.below(10);
    let own = through == 0;
    let by = promoter(random.below(PROMOTERS));
    Order {
        id: format!("p{place}"),
        friend: if own {
            by.clone()
        } else {
            friend(random.below(FRIENDS))
        },
        promoter: (through != 1).then_some(by),
        arrival: random.percent(25),
        legs: 1 + u8::try_from(random.below(2)).unwrap(),
        ended: random.percent(30).then(|| random.percent(60)),
    }
}

fn other_act(random: &mut Random) -> Act {
    let whose = random.below(FRIENDS + PROMOTERS);
    match random.below(14) {
        0 | 1 => Act::TellAgain(random.percent(60)),
        2 => Act::Poison(random.percent(50)),
        3 | 4 => Act::Work(random.percent(60)),
        5 | 6 => Act::Click {
            promoter: random.below(PROMOTERS),
            arrival: random.percent(50),
            visitor: random.below(2),
        },
        7 | 8 => Act::Reserve(whose),
        9 | 10 => Act::Commit(whose),
        11 => Act::Release(whose),
        12 => Act::Sweep,
        _ => Act::Publish,
    }
}

fn shuffle(acts: &mut [Act], random: &mut Random) {
    for place in (1..acts.len()).rev() {
        acts.swap(place, random.below(place + 1));
    }
}
