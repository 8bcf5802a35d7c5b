use super::*;

const NOW: i64 = 1_000_000;

fn at(millis: i64) -> UtcMillis {
    UtcMillis::new(millis).unwrap()
}

fn reais(amount: i64) -> Centavos {
    Centavos::new(amount * 100).unwrap()
}

fn order(id: &str) -> OrderId {
    OrderId::parse(id).unwrap()
}

fn reserve(
    state: &State,
    id: &str,
    hold: OrderHold,
    now: i64,
) -> Result<Step<Reservation>, Unavailable> {
    let request = Request {
        order: &order(id),
        total: reais(100),
        hold,
        now: at(now),
    };
    state.reserve(Discount::Amount(reais(30)), at(NOW * 10), hold, request)
}

fn reserved() -> State {
    match reserve(&State::Issued, "A", OrderHold::Unknown, NOW).unwrap() {
        Step::New(reservation) => State::Reserved(reservation),
        Step::Same(_) => panic!("a first reservation is new"),
    }
}

#[test]
fn the_same_order_gets_the_same_reservation_and_another_gets_none() {
    let state = reserved();
    let State::Reserved(first) = &state else {
        panic!()
    };
    let again = reserve(&state, "A", OrderHold::Unknown, NOW + 5).unwrap();
    assert_eq!(again, Step::Same(first.clone()));
    let other = reserve(&state, "B", OrderHold::Unknown, NOW + 5);
    assert_eq!(other, Err(Unavailable::OtherOrder));
}

#[test]
fn a_reservation_lapses_after_half_an_hour_unless_its_order_is_there() {
    let state = reserved();
    let later = NOW + RESERVATION_MS;
    assert!(matches!(
        reserve(&state, "B", OrderHold::Unknown, later),
        Ok(Step::New(_))
    ));
    assert_eq!(
        reserve(&state, "B", OrderHold::Alive, later),
        Err(Unavailable::OtherOrder)
    );
    let lapsed = state.commit(&order("A"), OrderHold::Unknown, at(later));
    assert_eq!(lapsed, Err(Unavailable::OtherOrder));
    assert!(
        state
            .commit(&order("A"), OrderHold::Alive, at(later))
            .is_ok()
    );
    assert_eq!(
        state.shown(at(NOW * 10), OrderHold::Unknown, at(later)),
        Status::Issued
    );
    assert_eq!(
        state.shown(at(NOW * 10), OrderHold::Alive, at(later)),
        Status::Reserved
    );
}

#[test]
fn a_used_voucher_answers_its_order_again_and_no_other() {
    let Step::New(done) = reserved()
        .commit(&order("A"), OrderHold::Unknown, at(NOW))
        .unwrap()
    else {
        panic!("a first commit is new")
    };
    let used = State::Used(done.clone());
    let again = used.commit(&order("A"), OrderHold::Unknown, at(NOW * 20));
    assert_eq!(again, Ok(Step::Same(done)));
    let other = used.commit(&order("B"), OrderHold::Unknown, at(NOW));
    assert_eq!(other, Err(Unavailable::Used));
    let released = used.release(&order("A"), OrderHold::Alive, Releaser::Shop);
    assert_eq!(released, Err(Unavailable::Used));
    assert!(matches!(
        used.void(),
        Step::New(State::Used(Use {
            after_void: true,
            ..
        }))
    ));
}

#[test]
fn what_a_placed_order_holds_only_the_shop_lets_go() {
    let release = |hold, releaser| reserved().release(&order("A"), hold, releaser);
    assert_eq!(
        release(OrderHold::Alive, Releaser::Owner),
        Err(Unavailable::OrderHolds)
    );
    for (hold, releaser) in [
        (OrderHold::Alive, Releaser::Shop),
        (OrderHold::Unknown, Releaser::Owner),
        (OrderHold::Void, Releaser::Owner),
    ] {
        assert_eq!(release(hold, releaser), Ok(Step::New(())));
    }
}

#[test]
fn a_void_order_neither_reserves_nor_commits() {
    let refused = reserve(&State::Issued, "A", OrderHold::Void, NOW);
    assert_eq!(refused, Err(Unavailable::OrderVoid));
    let refused = reserved().commit(&order("A"), OrderHold::Void, at(NOW));
    assert_eq!(refused, Err(Unavailable::OrderVoid));
}

#[test]
fn a_voucher_expires_only_when_nobody_has_it() {
    let end = at(NOW + 1);
    let expired = State::Issued.expire(end, OrderHold::Unknown, end);
    assert_eq!(expired, Step::New(State::Expired));
    assert!(matches!(
        reserved().expire(end, OrderHold::Unknown, end),
        Step::Same(_)
    ));
    let lapsed = at(NOW + RESERVATION_MS);
    assert_eq!(
        reserved().expire(end, OrderHold::Unknown, lapsed),
        Step::New(State::Expired)
    );
    assert!(matches!(
        reserved().expire(end, OrderHold::Alive, lapsed),
        Step::Same(_)
    ));
    assert_eq!(
        State::Issued.shown(end, OrderHold::Unknown, end),
        Status::Expired
    );
}

#[test]
fn what_ended_stays_ended() {
    for state in [State::Cancelled, State::Expired] {
        assert!(reserve(&state, "A", OrderHold::Unknown, NOW).is_err());
        assert!(
            state
                .commit(&order("A"), OrderHold::Unknown, at(NOW))
                .is_err()
        );
        let released = state.release(&order("A"), OrderHold::Unknown, Releaser::Shop);
        assert!(released.is_err());
        assert_eq!(state.void(), Step::Same(state.clone()));
    }
}
