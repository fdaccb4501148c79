import {registry} from "@web/core/registry";

/*
 * Taps as a thumb makes them: each pointer that goes down counts, whatever it hits. The
 * tap into a line of text is that line's.
 */
const LINES = ".o_field_widget[name=next_step], .o_field_widget[name=feedback]";
let taps = 0;
let lines = 0;

function count({target}) {
    if (target.closest(LINES)) {
        lines += 1;
    } else {
        taps += 1;
    }
}

const start = {
    content: "Count from here",
    trigger: "body",
    run: () => {
        taps = 0;
        lines = 0;
        document.addEventListener("pointerdown", count, true);
    },
};

const end = (mostTaps, mostLines = 0) => ({
    content: `At most ${mostTaps} taps and ${mostLines} lines of text`,
    trigger: "body",
    run: () => {
        document.removeEventListener("pointerdown", count, true);
        console.log(`Counted ${taps} taps and ${lines} lines of text`);
        if (taps > mostTaps || lines > mostLines) {
            throw new Error(`${taps} taps and ${lines} lines of text are too many`);
        }
    },
});

const tap = (trigger, content) => ({content, trigger, run: "click"});
const answer = (name, label) =>
    tap(`.modal .o_field_widget[name=${name}] .btn:contains('${label}')`);
const met = (name) => tap(`.modal .o_contact_chip:contains('${name}')`, "Whom");
const whatNext = {
    content: "What next, in one line",
    trigger: ".modal .o_field_widget[name=next_step] input",
    run: "edit Send the offer",
};
const closed = {
    content: "No sheet stays open",
    trigger: "body:not(:has(.modal)):not(:has(.o_bottom_sheet))",
};
const told = (text) => ({
    content: "What is planned next",
    trigger: `.o_notification:contains('${text}')`,
});
const save = tap(".modal button[name=action_report]:visible", "Save");
const reportCard = tap(
    ".o_kanban_record:contains('Tour Customer') a[name=action_open_report]",
    "Report, on the card"
);
const LOG_VISIT =
    ".o_my_day_log:visible, .o-control-panel-adaptive-dropdown [name=action_log]:visible";
// Not counted: without a main button of its own, a view has it in the menu beside
const openMenu = [
    {trigger: ".o_kanban_view"},
    {
        trigger: "body",
        run: () => {
            const inMenu = ".o-control-panel-adaptive-dropdown [name=action_log]";
            if (!document.querySelector(`.o_my_day_log, ${inMenu}`)) {
                document
                    .querySelector(
                        ".o_control_panel .oi-ellipsis-v, .o_control_panel .fa-ellipsis-v"
                    )
                    .closest("button")
                    .click();
            }
        },
    },
];
const logVisit = tap(LOG_VISIT, "Log Visit");
const chooseCustomer = tap(
    ".modal .o_customer_chip:contains('Tour Customer')",
    "One of the own customers"
);

registry.category("web_tour.tours").add("key_account_taps_my_day", {
    steps: () => [
        {trigger: ".o_menu_toggle"},
        start,
        tap(".o_menu_toggle", "The menu"),
        tap(
            ".o_app_menu_sidebar [data-menu-xmlid='crm_key_account.key_account_visit_menu_my_day']",
            "My Day"
        ),
        {trigger: ".o_kanban_record:contains('Tour Customer')"},
        // the first tap is the app's icon on the phone's own home screen
        end(2),
    ],
});

registry.category("web_tour.tours").add("key_account_taps_from_another_app", {
    steps: () => [
        {trigger: ".o_menu_toggle"},
        start,
        tap(".o_menu_systray button:has(.fa-clock-o)", "Odoo's own activities"),
        tap(".o_key_account_my_day_link:contains('My Day')", "My Day"),
        {trigger: ".o_kanban_record:contains('Tour Customer')"},
        closed,
        // with the app's icon on the phone's own home screen, three
        end(2),
    ],
});

registry.category("web_tour.tours").add("key_account_taps_report", {
    steps: () => [
        {trigger: ".o_kanban_record:contains('Tour Customer')"},
        start,
        reportCard,
        met("Tour Contact"),
        answer("outcome", "Well"),
        whatNext,
        save,
        told("Next visit"),
        closed,
        end(4, 1),
    ],
});

registry.category("web_tour.tours").add("key_account_taps_nobody", {
    steps: () => [
        {trigger: ".o_kanban_record:contains('Tour Customer')"},
        start,
        reportCard,
        met("Nobody"),
        {
            content: "No objective is asked for",
            trigger:
                ".modal:not(:has([name=outcome])):not(:has([name=objective_reached]))",
        },
        save,
        told("Next visit"),
        closed,
        end(3),
    ],
});

registry.category("web_tour.tours").add("key_account_taps_unplanned", {
    steps: () => [
        ...openMenu,
        start,
        logVisit,
        chooseCustomer,
        met("Tour Contact"),
        answer("outcome", "Well"),
        whatNext,
        save,
        told("Next visit"),
        {trigger: "body:not(:has(.modal))"},
        end(5, 1),
    ],
});

registry.category("web_tour.tours").add("key_account_taps_call", {
    steps: () => [
        ...openMenu,
        start,
        logVisit,
        chooseCustomer,
        answer("mode", "Phone"),
        tap(".modal button[name=action_report_later]:visible", "Report Later"),
        told("Next call"),
        {trigger: "body:not(:has(.modal))"},
        end(4),
    ],
});

registry.category("web_tour.tours").add("key_account_taps_due_call", {
    steps: () => [
        {trigger: ".o_kanban_record:contains('Tour Customer')"},
        start,
        reportCard,
        {
            content: "By phone, nobody has to say so",
            trigger: ".modal .o_field_widget[name=mode] .active:contains('Phone')",
        },
        met("Tour Contact"),
        whatNext,
        save,
        told("Next call"),
        closed,
        end(3, 1),
    ],
});

registry.category("web_tour.tours").add("key_account_taps_cancel", {
    steps: () => [
        {trigger: ".o_kanban_record:contains('Tour Customer')"},
        start,
        reportCard,
        tap(".modal button[name=action_open_cancel]:visible", "It didn't take place"),
        answer("delay", "In a week"),
        tap(".modal button[name=action_cancel]:visible", "Cancel"),
        told("Next visit"),
        closed,
        end(4),
    ],
});

registry.category("web_tour.tours").add("key_account_photo_phone", {
    steps: () => [
        reportCard,
        {
            content: "A phone asks for its camera here",
            trigger:
                ".modal .o_field_widget[name=attachment_ids] input[type=file]:not(:visible)",
            run: ({anchor}) => {
                const data = new DataTransfer();
                data.items.add(new File(["photo"], "shelf.jpg", {type: "image/jpeg"}));
                anchor.files = data.files;
                anchor.dispatchEvent(new Event("change", {bubbles: true}));
            },
        },
        {trigger: ".modal .o_attachment:contains('shelf.jpg')"},
        met("Nobody"),
        save,
        told("Report saved"),
        closed,
    ],
});

registry.category("web_tour.tours").add("key_account_draft_phone", {
    steps: () => [
        ...openMenu,
        logVisit,
        chooseCustomer,
        {
            trigger: ".modal .o_field_widget[name=next_step] input",
            run: "edit Send the offer",
        },
        answer("mode", "Online"),
        {
            content: "A name that is typed and not added",
            trigger: ".modal .o_contact_chips_add",
            run: "click",
        },
        {
            trigger: ".modal .o_contact_chips_new input",
            run: "edit Tour Stranger",
        },
        {
            content: "Back, by mistake",
            trigger: ".modal .modal-header .btn-close",
            run: "click",
        },
        {trigger: "body:not(:has(.modal))"},
        ...openMenu,
        logVisit,
        {
            content: "All of it is there",
            trigger: ".modal .o_contact_chip.active:contains('Tour Stranger')",
        },
        {
            trigger: ".modal .o_field_widget[name=mode] .active:contains('Online')",
        },
        {
            trigger:
                ".modal .o_field_widget[name=next_step] input:value('Send the offer')",
        },
        answer("outcome", "Well"),
        {
            content: "Another name",
            trigger: ".modal .o_contact_chips_add",
            run: "click",
        },
        {
            trigger: ".modal .o_contact_chips_new input",
            run: "edit Tour Newcomer",
        },
        save,
        told("Report saved"),
        {trigger: "body:not(:has(.modal))"},
        ...openMenu,
        logVisit,
        {
            content: "A new report",
            trigger: ".modal .o_field_widget[name=next_step] input:placeholder-shown",
        },
        chooseCustomer,
        {
            trigger: ".modal .o_contact_chip:contains('Tour Newcomer'):not(.active)",
        },
        {
            trigger: ".modal .o_field_widget[name=next_step] input",
            run: "edit Nothing",
        },
        tap(
            ".modal footer button:contains('Discard'), .modal-footer button:contains('Discard')"
        ),
        {trigger: "body:not(:has(.modal))"},
        ...openMenu,
        logVisit,
        {
            content: "What was discarded is gone",
            trigger: ".modal .o_field_widget[name=next_step] input:placeholder-shown",
        },
    ],
});
