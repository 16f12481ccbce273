import { createApp, h } from "vue";

createApp({ render: () => h("main", "callcenter") }).mount("#app");
