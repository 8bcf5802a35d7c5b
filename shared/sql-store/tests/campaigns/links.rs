//! Links of promoters, and the clicks on them.

use domain::code::ReferralCode;
use domain::identity::CampaignId;
use domain::mgm::attribution::{SigningKey, Visitor};
use domain::mgm::campaign::{Amendment, CampaignStatus, CouponMoment, Discount, Proposal};
use domain::mgm::click::ClickKind;
use domain::mgm::promoter::NotEligible;
use domain::money::Centavos;
use sql_store::mgm::campaigns::{change_campaign, find};
use sql_store::mgm::clicks::{Click, follow_link, open_link};
use sql_store::mgm::links::{CreateLinkError, create_link, my_links};

use crate::scene::{NOW, Scene, centavos, customer, proposal, time};

#[tokio::test]
async fn asking_twice_gives_the_same_link() {
    for scene in Scene::everywhere().await {
        let campaign = scene.campaign(proposal()).await;
        scene.customers(&[("ana", true), ("rui", false)]).await;
        let ask =
            async |who: &str| create_link(&scene.store, &campaign, &customer(who), time(NOW)).await;
        let first = ask("ana").await.unwrap();
        assert_eq!(ask("ana").await.unwrap(), first, "{}", scene.label());
        let refused = ask("rui").await.unwrap_err();
        assert!(matches!(
            refused,
            CreateLinkError::NotEligible(NotEligible::NoConsent)
        ));
        let refused = ask("eva").await.unwrap_err();
        assert!(matches!(
            refused,
            CreateLinkError::NotEligible(NotEligible::NotRegistered)
        ));
        let unknown = CampaignId::parse("NONE").unwrap();
        let refused = create_link(&scene.store, &unknown, &customer("ana"), time(NOW)).await;
        assert!(matches!(refused, Err(CreateLinkError::UnknownCampaign)));
        let links = my_links(&scene.store, &customer("ana"), None, 10)
            .await
            .unwrap();
        assert_eq!(
            (links.rows.len(), links.rows[0].link_code.as_str()),
            (1, first.code.as_str())
        );
        assert_eq!(
            my_links(&scene.store, &customer("rui"), None, 10)
                .await
                .unwrap()
                .rows,
            []
        );
    }
}

#[tokio::test]
async fn many_who_ask_at_once_get_one_link() {
    for scene in Scene::everywhere().await {
        let campaign = scene.campaign(proposal()).await;
        scene.customers(&[("ana", true)]).await;
        let ana = customer("ana");
        let ask = || create_link(&scene.store, &campaign, &ana, time(NOW));
        let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
        let first = a.unwrap();
        for other in [b, c, d] {
            assert_eq!(other.unwrap(), first, "{}", scene.label());
        }
    }
}

#[tokio::test]
async fn completed_orders_count_and_void_ones_do_not() {
    for scene in Scene::everywhere().await {
        let asked = Proposal {
            minimum_completed_orders: Some(2),
            ..proposal()
        };
        let campaign = scene.campaign(asked).await;
        scene.customers(&[("ana", true)]).await;
        let done = Some(time("2026-11-19T12:00:00Z"));
        scene.purchase("o1", "ana", "pago", done).await;
        scene.purchase("o2", "ana", "cancelado", done).await;
        scene.purchase("o3", "ana", "pago", None).await;
        let ask = async || create_link(&scene.store, &campaign, &customer("ana"), time(NOW)).await;
        let refused = ask().await.unwrap_err();
        assert!(
            matches!(
                refused,
                CreateLinkError::NotEligible(NotEligible::TooFewOrders)
            ),
            "{}",
            scene.label()
        );
        scene.purchase("o4", "ana", "concluido", None).await;
        assert!(ask().await.is_ok());
    }
}

#[tokio::test]
async fn a_closed_campaign_takes_no_new_promoters_and_keeps_its_links() {
    for scene in Scene::everywhere().await {
        let campaign = scene.campaign(proposal()).await;
        scene.customers(&[("ana", true), ("bia", true)]).await;
        let link = create_link(&scene.store, &campaign, &customer("ana"), time(NOW))
            .await
            .unwrap();
        let end = Amendment {
            status: Some(CampaignStatus::Ended),
            ..Amendment::default()
        };
        change_campaign(&scene.store, &campaign, &end, time(NOW))
            .await
            .unwrap();
        let ask = async |who| create_link(&scene.store, &campaign, &customer(who), time(NOW)).await;
        assert!(matches!(
            ask("bia").await,
            Err(CreateLinkError::CampaignClosed)
        ));
        assert_eq!(ask("ana").await.unwrap(), link, "{}", scene.label());
    }
}

fn click(code: &ReferralCode, address: &str, kind: ClickKind) -> Click {
    let key = SigningKey::new([7; 32]).unwrap();
    let visitor = Visitor::pseudonym(&key, address, "Firefox", time(NOW).day());
    Click {
        code: code.clone(),
        visitor,
        kind,
    }
}

#[tokio::test]
async fn the_same_visitor_counts_once_in_half_an_hour() {
    for scene in Scene::everywhere().await {
        let campaign = scene.campaign(proposal()).await;
        scene.customers(&[("ana", true)]).await;
        let link = create_link(&scene.store, &campaign, &customer("ana"), time(NOW))
            .await
            .unwrap();
        let open = async |address: &str, kind, minutes: i64| {
            let at = time(NOW).plus_millis(minutes * 60_000);
            let click = click(&link.code, address, kind);
            open_link(&scene.store, &click, at)
                .await
                .unwrap()
                .unwrap()
                .counted
        };
        assert!(open("10.0.0.1", ClickKind::Preview, 0).await);
        assert!(
            open("10.0.0.1", ClickKind::Person, 0).await,
            "a preview swallows no click"
        );
        assert!(
            !open("10.0.0.1", ClickKind::Person, 29).await,
            "{}",
            scene.label()
        );
        assert!(open("10.0.0.2", ClickKind::Person, 29).await);
        assert!(open("10.0.0.1", ClickKind::Person, 30).await);
        assert!(open("10.0.0.3", ClickKind::Bot, 30).await);
        let links = my_links(&scene.store, &customer("ana"), None, 10)
            .await
            .unwrap();
        assert_eq!(links.rows[0].clicks, 3);
        let wrong = click(
            &ReferralCode::from_random([1; 11]),
            "10.0.0.1",
            ClickKind::Person,
        );
        assert_eq!(
            open_link(&scene.store, &wrong, time(NOW)).await.unwrap(),
            None
        );
        let followed = follow_link(&scene.store, &link.code)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(followed.id(), &campaign);
    }
}

#[tokio::test]
async fn a_coupon_on_arrival_is_one_for_each_visitor() {
    for scene in Scene::everywhere().await {
        let asked = Proposal {
            coupon_moment: Some(CouponMoment::Arrival),
            ..proposal()
        };
        let campaign = scene.campaign(asked).await;
        scene.customers(&[("ana", true)]).await;
        let link = create_link(&scene.store, &campaign, &customer("ana"), time(NOW))
            .await
            .unwrap();
        let arrive = async |address: &str, kind| {
            let click = click(&link.code, address, kind);
            open_link(&scene.store, &click, time(NOW))
                .await
                .unwrap()
                .unwrap()
                .coupon
        };
        let first = arrive("10.0.0.1", ClickKind::Person).await.unwrap();
        assert_eq!(arrive("10.0.0.1", ClickKind::Person).await.unwrap(), first);
        assert_ne!(arrive("10.0.0.2", ClickKind::Person).await.unwrap(), first);
        assert_eq!(
            arrive("10.0.0.3", ClickKind::Bot).await,
            None,
            "{}",
            scene.label()
        );
        let stored = find(&scene.store, &campaign).await.unwrap().unwrap();
        assert_eq!(stored.commitments().reserved, Centavos::ZERO);
        assert_eq!(
            stored.terms().discount(),
            Discount::Amount(centavos(1_000).unwrap())
        );
    }
}
