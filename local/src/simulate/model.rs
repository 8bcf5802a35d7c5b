//! The shop: sessions of customers who look, put into the cart and buy, and the stock that goes down
//! and is filled up. It knows no clock: the same seed gives the same happenings.

use std::collections::VecDeque;

use fastrand::Rng;

/// Sessions that go on side by side.
const OPEN_SESSIONS: usize = 40;
/// Of a thousand looks so many are a session's last: five looks a session in the mean.
const LAST_LOOK_PERMILLE: usize = 200;
/// Of a thousand looks so many are followed by the cart: about one session in nine has one.
const CART_PERMILLE: usize = 25;
/// Of a thousand carts so many are left behind, as in most shops: of a hundred sessions three buy.
const ABANDONED_PERMILLE: usize = 700;
/// Of a thousand sessions so many are of somebody who was there before.
const RETURNING_PERMILLE: usize = 300;
/// Of a thousand carts so many hold two of the product.
const TWO_UNITS_PERMILLE: usize = 100;
/// Products of the shop; a few are looked at much, most seldom.
const PRODUCTS: usize = 50;
/// The stock of a product at first, or up to half as much again.
const FIRST_LEVEL: usize = 6;
/// At this level a product is ordered.
const REORDER_LEVEL: i64 = 3;
/// So many units come then,
const DELIVERED_UNITS: i64 = 10;
/// after so many events.
const DELIVERY_EVENTS: u64 = 300;
/// The cheapest product, and how much more the dearest costs.
const PRICES_CENTAVOS: (i64, usize) = (990, 49_000);

/// What a customer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Looks at a product.
    Click,
    /// Puts it into the cart.
    Cart,
    /// Buys what lies there.
    Purchase,
}

impl Kind {
    /// Its word in `tipo_evento`.
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Click => "clique",
            Self::Cart => "carrinho",
            Self::Purchase => "compra",
        }
    }
}

/// One event of a customer, and the levels of stock that changed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// Who.
    pub user: usize,
    /// In which session.
    pub session: usize,
    /// What was done.
    pub kind: Kind,
    /// To which product.
    pub product: usize,
    /// How many; 0 for a look.
    pub units: i64,
    /// What one costs.
    pub price_centavos: i64,
    /// Products with their new levels.
    pub levels: Vec<(usize, i64)>,
}

struct Product {
    price_centavos: i64,
    level: i64,
    is_ordered: bool,
}

struct Session {
    number: usize,
    user: usize,
    stage: Stage,
}

enum Stage {
    Looking,
    /// Looked at this product and will put it into the cart.
    Wanting(usize),
    /// So many of this product lie in the cart.
    Carted(usize, i64),
    Over,
}

/// The shop.
pub struct Shop {
    random: Rng,
    products: Vec<Product>,
    sessions: Vec<Session>,
    next_session: usize,
    users: usize,
    happened: u64,
    /// When which product is delivered, in events.
    deliveries: VecDeque<(u64, usize)>,
}

impl Shop {
    /// The shop of this seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let (cheapest, more) = PRICES_CENTAVOS;
        let products = (0..PRODUCTS).map(|_| Product {
            price_centavos: cheapest + whole(random.usize(..more)),
            level: whole(FIRST_LEVEL + random.usize(..FIRST_LEVEL / 2)),
            is_ordered: false,
        });
        let products = products.collect();
        let mut shop = Self {
            random,
            products,
            sessions: Vec::new(),
            next_session: 0,
            users: 0,
            happened: 0,
            deliveries: VecDeque::new(),
        };
        for _ in 0..OPEN_SESSIONS {
            let session = shop.open_session();
            shop.sessions.push(session);
        }
        shop
    }

    /// Every product with its level.
    pub fn levels(&self) -> impl Iterator<Item = (usize, i64)> {
        let levels = self.products.iter().enumerate();
        levels.map(|(product, stock)| (product, stock.level))
    }

    /// What happens next.
    pub fn next(&mut self) -> Happening {
        self.happened += 1;
        let mut levels = self.deliver();
        loop {
            let place = self.random.usize(..self.sessions.len());
            let Some((kind, product, units)) = self.go_on(place) else {
                let fresh = self.open_session();
                if let Some(session) = self.sessions.get_mut(place) {
                    *session = fresh;
                }
                continue;
            };
            if kind == Kind::Purchase {
                levels.extend(self.take(product, units));
            }
            let (user, session) = match self.sessions.get(place) {
                Some(session) => (session.user, session.number),
                None => (0, 0),
            };
            let price = self.products.get(product).map(|stock| stock.price_centavos);
            return Happening {
                user,
                session,
                kind,
                product,
                units,
                price_centavos: price.unwrap_or_default(),
                levels,
            };
        }
    }

    /// What the session's customer does next; nothing when it is over.
    fn go_on(&mut self, place: usize) -> Option<(Kind, usize, i64)> {
        let session = self.sessions.get_mut(place)?;
        match session.stage {
            Stage::Over => None,
            Stage::Looking => {
                // Of two choices the first counts more: few products are looked at much.
                let bound = self.random.usize(..PRODUCTS) + 1;
                let product = self.random.usize(..bound);
                session.stage = if is_one_of(&mut self.random, CART_PERMILLE) {
                    Stage::Wanting(product)
                } else if is_one_of(&mut self.random, LAST_LOOK_PERMILLE) {
                    Stage::Over
                } else {
                    Stage::Looking
                };
                Some((Kind::Click, product, 0))
            }
            Stage::Wanting(product) => {
                let units = 1 + i64::from(is_one_of(&mut self.random, TWO_UNITS_PERMILLE));
                let level = self.products.get(product).map_or(0, |stock| stock.level);
                // What is not there can't be bought.
                let is_left = is_one_of(&mut self.random, ABANDONED_PERMILLE) || level < units;
                session.stage = match is_left {
                    true => Stage::Over,
                    false => Stage::Carted(product, units),
                };
                Some((Kind::Cart, product, units))
            }
            Stage::Carted(product, units) => {
                session.stage = Stage::Over;
                let level = self.products.get(product).map_or(0, |stock| stock.level);
                // Somebody else may have been faster.
                (level >= units).then_some((Kind::Purchase, product, units))
            }
        }
    }

    fn open_session(&mut self) -> Session {
        let is_known = self.users > 0 && is_one_of(&mut self.random, RETURNING_PERMILLE);
        let user = if is_known {
            self.random.usize(..self.users)
        } else {
            self.users += 1;
            self.users - 1
        };
        self.next_session += 1;
        Session {
            number: self.next_session,
            user,
            stage: Stage::Looking,
        }
    }

    /// Takes units off the shelf; the product's new level.
    fn take(&mut self, product: usize, units: i64) -> Option<(usize, i64)> {
        let stock = self.products.get_mut(product)?;
        stock.level -= units;
        if stock.level <= REORDER_LEVEL && !stock.is_ordered {
            stock.is_ordered = true;
            let due = self.happened + DELIVERY_EVENTS;
            self.deliveries.push_back((due, product));
        }
        Some((product, stock.level))
    }

    /// Puts on the shelf what has come.
    fn deliver(&mut self) -> Vec<(usize, i64)> {
        let mut levels = Vec::new();
        while let Some((due, product)) = self.deliveries.front().copied() {
            if due > self.happened {
                break;
            }
            self.deliveries.pop_front();
            if let Some(stock) = self.products.get_mut(product) {
                stock.level += DELIVERED_UNITS;
                stock.is_ordered = false;
                levels.push((product, stock.level));
            }
        }
        levels
    }
}

/// True so many times of a thousand.
fn is_one_of(random: &mut Rng, permille: usize) -> bool {
    random.usize(..1_000) < permille
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    const EVENTS: usize = 60_000;

    fn happenings(seed: u64) -> Vec<Happening> {
        let mut shop = Shop::new(seed);
        (0..EVENTS).map(|_| shop.next()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_happenings_and_another_one_others() {
        assert_eq!(happenings(7), happenings(7));
        assert_ne!(happenings(7), happenings(8));
    }

    #[test]
    fn customers_look_much_and_buy_seldom_and_always_in_that_order() {
        let happenings = happenings(1);
        let mut looked = BTreeSet::new();
        let mut carted = BTreeMap::new();
        let (mut sessions, mut carts, mut purchases) = (BTreeSet::new(), 0, 0);
        for one in &happenings {
            sessions.insert(one.session);
            let thing = (one.session, one.product);
            match one.kind {
                Kind::Click => drop(looked.insert(thing)),
                Kind::Cart => {
                    assert!(
                        looked.contains(&thing),
                        "nobody carts what was not looked at"
                    );
                    carted.insert(thing, one.units);
                    carts += 1;
                }
                Kind::Purchase => {
                    assert_eq!(carted.get(&thing), Some(&one.units));
                    purchases += 1;
                }
            }
        }
        let of_sessions = |count: usize| count * 1_000 / sessions.len();
        assert!(
            (80..150).contains(&of_sessions(carts)),
            "{}",
            of_sessions(carts)
        );
        assert!(
            (20..45).contains(&of_sessions(purchases)),
            "{}",
            of_sessions(purchases)
        );
    }

    #[test]
    fn stock_goes_down_with_purchases_is_filled_up_and_never_below_nothing() {
        let mut shop = Shop::new(3);
        let mut levels: BTreeMap<usize, i64> = shop.levels().collect();
        let mut deliveries = 0;
        for _ in 0..EVENTS {
            let one = shop.next();
            let mut expected = levels.clone();
            for (product, level) in &one.levels {
                let before = levels.insert(*product, *level).unwrap();
                if *level == before + DELIVERED_UNITS {
                    deliveries += 1;
                    expected.insert(*product, *level);
                }
                assert!(*level >= 0);
            }
            if one.kind == Kind::Purchase {
                *expected.get_mut(&one.product).unwrap() -= one.units;
            }
            assert_eq!(levels, expected);
        }
        assert!(deliveries > 10, "{deliveries}");
        assert_eq!(levels, shop.levels().collect());
    }

    #[test]
    fn a_few_products_are_looked_at_much() {
        let mut views = BTreeMap::new();
        for one in happenings(2) {
            *views.entry(one.product).or_insert(0) += 1;
        }
        let mut counts: Vec<usize> = views.values().copied().collect();
        counts.sort_unstable_by(|left, right| right.cmp(left));
        let first_tenth: usize = counts.iter().take(PRODUCTS / 10).sum();
        assert!(first_tenth * 10 > EVENTS * 3, "{first_tenth} of {EVENTS}");
    }
}
