import {registry} from "@web/core/registry";

registry.category("web_tour.tours").add("key_account_route_phone", {
    steps: () => [
        {
            content: "Three stops, in no order",
            trigger: ".o_my_day_route_text:contains('3 stops'):not(:contains('km'))",
        },
        {
            content: "One tap",
            trigger: ".o_my_day_route button:contains('Route')",
            run: "click",
        },
        {
            content:
                "There and back: three degrees of latitude, the meeting comes last",
            trigger: ".o_my_day_route_text:contains('km')",
        },
        {
            content: "One link with all stops",
            trigger:
                ".o_my_day_navigate[href*='waypoints'][href*='google.com/maps/dir']",
        },
        {
            content: "The hour is on the card",
            trigger: ".o_kanban_record:contains('≈'):contains('Tour South')",
        },
        {
            content: "A visit that nobody had planned, by the main button",
            trigger: ".o_my_day_log.btn-primary:visible",
            run: "click",
        },
        {
            content: "Another time",
            trigger: ".modal .o_field_widget[name=mode]",
        },
        {
            trigger: ".modal footer button:contains('Discard'):visible",
            run: "click",
        },
        {
            content: "No sheet stays open",
            trigger:
                "body:not(:has(.modal)):not(:has(.o_bottom_sheet)):not(:has(.dropdown-menu.show)) .o_my_day_log",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_tasks_phone", {
    steps: () => [
        {
            content: "What was promised for today",
            trigger: ".o_my_day_tasks li:contains('Tour Samples')",
        },
        {
            content: "Kept",
            trigger: ".o_my_day_tasks li:contains('Tour Samples') .o_my_day_done",
            run: "click",
        },
        {
            trigger: "body:not(:has(.o_my_day_tasks li:contains('Tour Samples')))",
        },
        {
            content: "Not yet, after all",
            trigger: ".o_notification_buttons button:contains('Undo')",
            run: "click",
        },
        {
            trigger: ".o_my_day_tasks li:contains('Tour Samples')",
        },
    ],
});

registry.category("web_tour.tours").add("key_account_check_in_phone", {
    steps: () => [
        {
            content: "At the door; the phone says nothing of the place",
            trigger: ".o_kanban_record:contains('Kestrel') .o_key_account_check_in",
            async run(helpers) {
                const {geolocation} = navigator;
                if (geolocation) {
                    geolocation.getCurrentPosition = (_done, refuse) =>
                        refuse({code: 1});
                }
                await helpers.click();
            },
        },
        {
            trigger: ".o_notification:contains('Checked in: Kestrel')",
        },
        {
            content: "The time is on the card, and there is nothing more to tap",
            trigger:
                ".o_kanban_record:contains('Kestrel'):has(.fa-map-pin):not(:has(.o_key_account_check_in))",
        },
    ],
});
