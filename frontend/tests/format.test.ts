import { describe, expect, it } from "vitest";
import {
  formatDate,
  formatDuration,
  formatNumber,
  formatPhone,
  formatShortDate,
  formatTime,
  regionName,
  sameDay,
} from "@/i18n/format";

const moment = "2026-11-23T08:05:00Z";

describe("dates", () => {
  it("are Jalali with Persian digits in Persian", () => {
    expect(formatDate(moment, "fa", "Asia/Tehran")).toBe("۲ آذر ۱۴۰۵");
    expect(formatShortDate(moment, "fa", "Asia/Tehran")).toBe("۱۴۰۵/۰۹/۰۲");
    expect(formatTime(moment, "fa", "Asia/Tehran")).toBe("۱۱:۳۵");
  });

  it("are Gregorian in Hebrew and English", () => {
    expect(formatDate(moment, "en", "Asia/Tehran")).toBe("23 November 2026");
    expect(formatDate(moment, "he", "Asia/Jerusalem")).toBe("23 בנובמבר 2026");
    expect(formatShortDate(moment, "en", "UTC")).toBe("23/11/2026");
    expect(formatTime(moment, "he", "Asia/Jerusalem")).toBe("10:05");
  });

  it("turn over at midnight of the site, not of the machine", () => {
    const [late, early] = [new Date("2026-11-23T20:40:00Z"), new Date("2026-11-23T20:20:00Z")];
    expect(sameDay(late, early, "Asia/Tehran")).toBe(false);
    expect(sameDay(late, early, "UTC")).toBe(true);
  });
});

describe("numbers", () => {
  it.each([
    [0, "0:00"],
    [59.9, "0:59"],
    [61, "1:01"],
    [3600, "1:00:00"],
    [-5, "0:00"],
    [Number.NaN, "0:00"],
  ])("%d seconds are %s", (seconds, text) => {
    expect(formatDuration(seconds, "en")).toBe(text);
  });

  it("have Persian digits in Persian", () => {
    expect(formatDuration(75, "fa")).toBe("۱:۱۵");
    expect(formatNumber(1234, "fa")).toBe("۱٬۲۳۴");
  });

  it("of telephones keep Latin digits in groups", () => {
    expect(formatPhone("+989123456789")).toBe("+98 912 345 6789");
    expect(formatPhone("+982188776655")).toBe("+98 21 8877 6655");
    expect(formatPhone("1001")).toBe("1001");
    expect(formatPhone(null)).toBe("");
  });

  it("know the country of a caller", () => {
    expect(regionName("IR", "fa")).toBe("ایران");
    expect(regionName("nonsense", "en")).toBe("nonsense");
  });
});
