import {
    Component,
    onWillStart,
    onWillUnmount,
    useEffect,
    useRef,
    useState,
} from "@odoo/owl";
import {getColor, getCustomColor, hexToRGBA} from "@web/core/colors/colors";
import {cookie} from "@web/core/browser/cookie";
import {loadBundle} from "@web/core/assets";

const HEIGHT = 280;
const scheme = cookie.get("color_scheme");
export const LABEL_COLOR = getCustomColor(scheme, "#111827", "#E4E4E4");
export const GRID_COLOR = getCustomColor(
    scheme,
    "rgba(0,0,0,.1)",
    "rgba(255,255,255,.15)"
);
export const MUTED_COLOR = getCustomColor(scheme, "#a4a8b6", "#7e8290");
export const DANGER_COLOR = "#ce4257";
export const SUCCESS_COLOR = "#00a78d";

export function getPictureColor(index, opacity = 1) {
    const color = getColor(index, scheme, "sm");
    return opacity === 1 ? color : hexToRGBA(color, opacity);
}

/**
 * A chart with the same figures as a table: who can't see the one reads the other. What
 * stands for accounts opens them.
 *
 * The prop `picture` has
 *
 * - `label`: what it shows, in a sentence;
 * - `getConfig()`: Chart.js' configuration; its datasets have `items`, for each point what
 *   it opens (`{name, domain}`), or nothing. Without it there is the table alone;
 * - `table`: `{columns: [{label, isNumber}], rows: [{id, cells, item, className,
 *   hint, warned}]}`; the first cell names the row, with the hint below, the one numbered
 *   `warned` is in red;
 * - `hint`, a line below, and `height` in pixels;
 * - `isEmpty`: nothing to draw or to list, what stands above says it all.
 */
export class Picture extends Component {
    static template = "crm_key_account.PortfolioPicture";
    static props = {
        name: String,
        title: String,
        question: String,
        picture: Object,
        isTable: {type: Boolean, optional: true},
        onOpen: Function,
        onToggle: {type: Function, optional: true},
        slots: {type: Object, optional: true},
    };

    setup() {
        this.state = useState({isTable: this.props.isTable});
        this.canvas = useRef("canvas");
        this.chart = null;
        onWillStart(() => loadBundle("web.chartjs_lib"));
        useEffect(
            (canvas) => {
                if (canvas) {
                    this.chart = new Chart(canvas, this.makeConfig());
                }
                return () => this.destroyChart();
            },
            () => [this.canvas.el, this.props.picture]
        );
        onWillUnmount(() => this.destroyChart());
    }

    get isTableShown() {
        return this.state.isTable || !this.props.picture.getConfig;
    }

    get height() {
        return this.props.picture.height || HEIGHT;
    }

    destroyChart() {
        this.chart?.destroy();
        this.chart = null;
    }

    makeConfig() {
        const config = this.props.picture.getConfig();
        const getItem = (element) =>
            element &&
            config.data.datasets[element.datasetIndex].items?.[element.index];
        config.options = {
            animation: false,
            maintainAspectRatio: false,
            ...config.options,
            onClick: (ev, elements) => {
                const item = elements.map(getItem).find(Boolean);
                if (item) {
                    this.props.onOpen(item);
                }
            },
            onHover: (ev, elements) => {
                const isLink = elements.some(getItem);
                ev.native.target.style.cursor = isLink ? "pointer" : "";
            },
        };
        return config;
    }

    toggle() {
        this.state.isTable = !this.state.isTable;
        this.props.onToggle(this.props.name, this.state.isTable);
    }
}
