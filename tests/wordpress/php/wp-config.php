<?php
// Of the tests: everything that differs between two sites stands in the file that TEST_SITE names.
$test_site = json_decode( file_get_contents( getenv( 'TEST_SITE' ) ), true );

define( 'DB_NAME', 'wordpress' );
define( 'DB_USER', '' );
define( 'DB_PASSWORD', '' );
define( 'DB_HOST', '' );
define( 'DB_CHARSET', 'utf8mb4' );
define( 'DB_COLLATE', '' );
define( 'DB_DIR', $test_site['folder'] . '/' );
define( 'DB_FILE', 'wordpress.sqlite' );
foreach ( array( 'AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE' ) as $name ) {
	define( $name . '_KEY', $name . '-key-of-the-tests' );
	define( $name . '_SALT', $name . '-salt-of-the-tests' );
}
define( 'WP_HOME', $test_site['url'] );
define( 'WP_SITEURL', $test_site['url'] );
define( 'WPMU_PLUGIN_DIR', $test_site['folder'] . '/mu-plugins' );
define( 'WP_ENVIRONMENT_TYPE', 'local' ); // Application passwords without https.
define( 'AUTOMATIC_UPDATER_DISABLED', true );
define( 'DISABLE_WP_CRON', true ); // The tests ask for wp-cron.php themselves, as WP Engine's Alternate Cron does.
define( 'WP_DEBUG', true );
define( 'WP_DEBUG_DISPLAY', false );
define( 'WP_DEBUG_LOG', $test_site['folder'] . '/debug.log' );
foreach ( $test_site['constants'] as $name => $value ) {
	define( $name, $value );
}
$table_prefix = 'wp_';
defined( 'ABSPATH' ) || define( 'ABSPATH', __DIR__ . '/' );
require_once ABSPATH . 'wp-settings.php';
